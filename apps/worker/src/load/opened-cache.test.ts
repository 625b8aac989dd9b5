import { expect, test } from "vitest";
import { OpenedCache } from "./opened-cache.ts";

const sealed = (text: string) => ({ keyId: "k", sealed: text });

test("a sealed text is opened once per owner", () => {
  let opened = 0;
  const cache = new OpenedCache(({ sealed: text }, owner) => {
    opened += 1;
    return `${text} of ${owner}`;
  });
  for (let time = 0; time < 3; time += 1) expect(cache.open(sealed("a"), "one")).toBe("a of one");
  expect(opened).toBe(1);
  expect(cache.open(sealed("a"), "two")).toBe("a of two");
  expect(opened).toBe(2);
});

test("what does not open is not remembered, and large texts do not fill the memory", () => {
  let opened = 0;
  const cache = new OpenedCache(({ sealed: text }) => {
    if (text === "bad") throw new Error("bad");
    opened += 1;
    return text.length;
  });
  for (let time = 0; time < 2; time += 1) expect(() => cache.open(sealed("bad"), "one")).toThrow("bad");
  const large = (n: number) => sealed(`${n} ${"x".repeat(1_000_000)}`);
  for (let n = 0; n < 20; n += 1) cache.open(large(n), "one");
  cache.open(large(19), "one");
  expect(opened).toBe(20);
  cache.open(large(0), "one");
  expect(opened).toBe(21);
});
