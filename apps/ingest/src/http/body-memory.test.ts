import { expect, test } from "vitest";
import { BodyMemory } from "./body-memory.ts";

const MIB = 1024 * 1024;

test("bytes that are announced and not sent take memory from nobody but their caller", () => {
  const memory = new BodyMemory(64 * MIB);
  for (const hostile of ["a", "b", "c"]) {
    for (let n = 0; n < 3; n += 1) expect(memory.reserve(hostile, 10 * MIB)).toBeDefined();
    expect(memory.reserve(hostile, 10 * MIB)).toBeUndefined();
  }
  expect(memory.held).toBe(0);
  const innocent = memory.reserve("innocent", 32 * MIB);
  expect(innocent?.resize(32 * MIB)).toBe(true);
});

test.each([1, 2, 3, 6])("%i callers that hold all they may leave some for the next one", (hostile) => {
  const memory = new BodyMemory(64 * MIB);
  for (let caller = 0; caller < hostile; caller += 1) {
    while (memory.reserve(String(caller), 0)?.resize(1024)) continue;
  }
  const left = (64 * MIB) / 2 ** hostile;
  expect(64 * MIB - memory.held).toBe(left);
  const innocent = memory.reserve("innocent", 0)!;
  expect(innocent.resize(left / 2)).toBe(true);
  expect(innocent.resize(left / 2 + 1)).toBe(false);
});

test("a body that shrinks or is answered gives back what it held", () => {
  const memory = new BodyMemory(64 * MIB);
  const body = memory.reserve("a", 4 * MIB)!;
  expect(body.resize(30 * MIB)).toBe(true);
  expect(memory.reserve("a", 3 * MIB)).toBeUndefined();
  expect(body.resize(1 * MIB)).toBe(true);
  expect(memory.held).toBe(1 * MIB);
  // Three are still announced.
  expect(memory.reserve("a", 29 * MIB)).toBeUndefined();
  body.release();
  body.release();
  expect(memory.held).toBe(0);
  expect(memory.reserve("a", 32 * MIB)).toBeDefined();
});
