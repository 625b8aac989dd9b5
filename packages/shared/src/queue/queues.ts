import { Queue } from "bullmq";
import type { Redis } from "ioredis";
import type { ControlJob, DeadLetterJob, DispatchJob, RetryJob } from "./jobs.ts";
import { KEY_PREFIX } from "./keys.ts";

/** The lanes, by their BullMQ queue names. */
export const LANES = ["dispatch", "retry", "control"] as const;
export type LaneName = (typeof LANES)[number];

/** The queue that shows the dead letters that have no failed retry job. No delivery passes through it. */
export const DEAD_LETTERS = "dead-letters";

/** The producers' side of the lanes. Jobs are added only by enqueue.ts. */
export interface Queues {
  dispatch: Queue<DispatchJob>;
  retry: Queue<RetryJob>;
  control: Queue<ControlJob>;
  deadLetters: Queue<DeadLetterJob>;
  close(): Promise<void>;
}

/** Opens the queues. Commands fail immediately while Redis is unreachable. */
export function createQueues(connection: Redis): Queues {
  const open = <Data>(name: LaneName | typeof DEAD_LETTERS) => {
    const queue = new Queue<Data>(name, {
      connection,
      prefix: KEY_PREFIX,
      // Without these, a queue opened while Redis is down would reject for ever.
      skipWaitingForReady: true,
      skipVersionCheck: true,
      skipMetasUpdate: true,
    });
    // The connection logs its own state.
    queue.on("error", () => undefined);
    return queue;
  };
  const dispatch = open<DispatchJob>("dispatch");
  const retry = open<RetryJob>("retry");
  const control = open<ControlJob>("control");
  const deadLetters = open<DeadLetterJob>(DEAD_LETTERS);
  return {
    dispatch,
    retry,
    control,
    deadLetters,
    async close() {
      await Promise.allSettled([dispatch, retry, control, deadLetters].map((queue: Queue) => queue.close()));
    },
  };
}
