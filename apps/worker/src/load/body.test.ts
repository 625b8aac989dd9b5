import { expect, test } from "vitest";
import type { Delivery } from "../delivery.ts";
import { sliceByBytes } from "./body.ts";

const slicesOf = (...sizes: number[]) =>
  sliceByBytes(
    sizes.map((bodyBytes, index) => ({ bodyBytes, eventId: `event-${index}`, tenant: "default" }) as Delivery),
    100,
  ).map(({ deliveries }) => deliveries.map(({ bodyBytes }) => bodyBytes));

test("a slice takes deliveries in order, up to its size", () => {
  expect(slicesOf(60, 40, 1, 99, 100, 50)).toEqual([[60, 40], [1, 99], [100], [50]]);
});

test("a delivery larger than a slice has one of its own", () => {
  expect(slicesOf(10, 250, 10)).toEqual([[10], [250], [10]]);
});

test("no deliveries make no slices", () => {
  expect(slicesOf()).toEqual([]);
});

test("deliveries of one event share its body, and tenants share no slice", () => {
  const delivery = (tenant: string, eventId: string) => ({ tenant, eventId, bodyBytes: 80 }) as Delivery;
  const deliveries = [
    delivery("a", "1"),
    delivery("b", "2"),
    delivery("a", "1"),
    delivery("b", "3"),
    delivery("a", "1"),
  ];
  const slices = sliceByBytes(deliveries, 100).map(({ tenant, bytes, deliveries: own }) => [tenant, bytes, own.length]);
  expect(slices).toEqual([
    ["a", 80, 3],
    ["b", 80, 1],
    ["b", 80, 1],
  ]);
});
