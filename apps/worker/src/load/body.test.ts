import { expect, test } from "vitest";
import type { Delivery } from "../delivery.ts";
import { sliceByBytes } from "./body.ts";

const slicesOf = (...sizes: number[]) =>
  sliceByBytes(
    sizes.map((bodyBytes) => ({ bodyBytes }) as Delivery),
    100,
  ).map((slice) => slice.map(({ bodyBytes }) => bodyBytes));

test("a slice takes deliveries in order, up to its size", () => {
  expect(slicesOf(60, 40, 1, 99, 100, 50)).toEqual([[60, 40], [1, 99], [100], [50]]);
});

test("a delivery larger than a slice has one of its own", () => {
  expect(slicesOf(10, 250, 10)).toEqual([[10], [250], [10]]);
});

test("no deliveries make no slices", () => {
  expect(slicesOf()).toEqual([]);
});
