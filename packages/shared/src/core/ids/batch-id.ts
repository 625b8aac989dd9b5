/**
 * The last four bytes of a batch's id are its number (function batch_id in Postgres). Its first byte is the batch's
 * priority, the others count the batches of one statement.
 */
export const BATCHES_PER_PRIORITY = 2 ** 24;

/** Priority of released deliveries, so that one subscriber's backlog does not delay the new deliveries of others. */
export const RELEASED = 1;

/** The first priority of what exceeds a tenant's share. It rises with the size of the excess. */
export const FLOOD = RELEASED + 1;

/** A larger priority would make the batch's number negative. */
export const MAX_PRIORITY = 127;

/** The number of the first batch with a priority, 0 to 127. */
export const firstBatchNumber = (priority: number): number => priority * BATCHES_PER_PRIORITY;

export const priorityOfBatch = (batchId: string): number => Number.parseInt(batchId.slice(28, 30), 16);
