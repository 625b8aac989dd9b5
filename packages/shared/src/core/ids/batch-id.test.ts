import { expect, test } from "vitest";
import { firstBatchNumber, MAX_PRIORITY, priorityOfBatch } from "./batch-id.ts";

/** Like the function batch_id in Postgres. */
const batchId = (number: number) => `01890a5d-ac96-774b-bcce-b3a4${number.toString(16).padStart(8, "0")}`;

test.each([0, 1, 2, 35, MAX_PRIORITY])("a batch's id contains its priority, %i", (priority) => {
  for (const index of [0, 1, 65_536, 2 ** 24 - 1]) {
    expect(priorityOfBatch(batchId(firstBatchNumber(priority) + index))).toBe(priority);
  }
});

test("the largest number fits in Postgres's 32-bit integer", () => {
  expect(firstBatchNumber(MAX_PRIORITY) + 2 ** 24 - 1).toBe(2 ** 31 - 1);
});
