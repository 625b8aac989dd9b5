/**
 * The last four bytes of a batch's id are its number (function batch_id in Postgres): the first of them is the batch's
 * priority, the others count the batches of one statement.
 */
const BATCHES_PER_PRIORITY = 2 ** 24;

/** The priority of what is released to a subscriber: its backlog does not delay the others' fresh deliveries. */
export const RELEASED = 1;

/** Larger ones would make the number negative. */
export const MAX_PRIORITY = 127;

/** The number of the first batch with a priority, 0 to 127. */
export const firstBatchNumber = (priority: number): number => priority * BATCHES_PER_PRIORITY;

export const priorityOfBatch = (batchId: string): number => Number.parseInt(batchId.slice(28, 30), 16);
