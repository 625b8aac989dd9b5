import { expect, test } from "vitest";
import { Turns } from "./turns.ts";

test("callers with one key wait one after the other, and callers beyond the bound are refused at once", async () => {
  const waits: (() => void)[] = [];
  const turns = new Turns(2, () => new Promise<void>((resolve) => void waits.push(resolve)));
  const passed: string[] = [];
  const enter = (name: string, key: string) => turns.next(key)?.then(() => passed.push(name));
  const [first, second] = [enter("first", "a"), enter("second", "a")];
  expect(enter("third", "a")).toBeUndefined();
  const other = enter("other", "b");
  await Promise.resolve();

  // The second one does not even begin to wait before the first one is through.
  expect(waits).toHaveLength(2);
  waits[1]!();
  await other;
  waits[0]!();
  await first;
  expect([passed, waits.length]).toEqual([["other", "first"], 3]);

  const last = enter("last", "a");
  expect(last).toBeDefined();
  waits[2]!();
  await second;
  waits[3]!();
  await last;
  expect(passed).toEqual(["other", "first", "second", "last"]);
});
