import { expect, test } from "vitest";
import { firstBatchNumber, MAX_PRIORITY, priorityOfBatch } from "./batch-id.ts";

/** What the function batch_id in Postgres makes of a number. */
const batchId = (number: number) => `01890a5d-ac96-774b-bcce-b3a4${number.toString(16).padStart(8, "0")}`;

test.each([0, 1, 2, 35, MAX_PRIORITY])("a batch of priority %i has it in its id", (priority) => {
  for (const index of [0, 1, 65_536, 2 ** 24 - 1]) {
    expect(priorityOfBatch(batchId(firstBatchNumber(priority) + index))).toBe(priority);
  }
});

test("the largest number is one that Postgres takes for a 32-bit integer", () => {
  expect(firstBatchNumber(MAX_PRIORITY) + 2 ** 24 - 1).toBe(2 ** 31 - 1);
});
