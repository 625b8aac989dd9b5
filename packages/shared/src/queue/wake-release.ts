import { addJobs, releaseJobOf, type Queues } from "./queues.ts";

/** Runs a subscription's release job now: it is made where there is none, and woken where it waits. While Redis is away the watchdog makes it. */
export async function wakeRelease({ control }: Queues, subscriptionId: string): Promise<void> {
  try {
    await addJobs(control, [releaseJobOf(subscriptionId)]);
    const job = await control.getJob(subscriptionId);
    if (await job?.isDelayed()) await job?.promote();
  } catch {
    // Redis is away, or the job moved on by itself.
  }
}
