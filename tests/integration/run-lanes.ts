import type { Context } from "../../apps/worker/src/context.ts";
import { startDispatchLane } from "../../apps/worker/src/lanes/dispatch-lane.ts";
import { startRetryLane } from "../../apps/worker/src/lanes/retry-lane.ts";

/** Runs the dispatch and the retry lane during `work`, in this process. */
export async function whileLanesRun(context: Context, work: () => Promise<void>): Promise<void> {
  const lanes = [startDispatchLane(context), startRetryLane(context)];
  try {
    await work();
  } finally {
    await Promise.all(lanes.map((lane) => lane.stop()));
  }
}
