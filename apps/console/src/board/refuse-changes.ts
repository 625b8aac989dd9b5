import type { BoardHooks } from "@bull-board/api/typings/app";

/** What of Bull Board's own routes may run: reading. A route that a later version brings is refused until it is listed. */
const ALLOWED = new Set([
  "get /api/redis/stats",
  "get /api/queues",
  "get /api/job-schedulers",
  "get /api/queues/:queueName/metrics",
  "get /api/queues/:queueName/default-job-options",
  "get /api/queues/:queueName/workers",
  "get /api/queues/:queueName/rate-limit",
  "get /api/queues/:queueName/job-data-schema",
  "get /api/queues/:queueName/:jobId/logs",
  "get /api/queues/:queueName/:jobId/flow",
  "get /api/queues/:queueName/:jobId",
]);

const REMOVE =
  "Postgres is the truth and the watchdog would put the job back. To stop deliveries, pause or delete the subscription: POST /v1/subscriptions/{id}/pause.";
const PAUSE =
  "A paused queue stops the deliveries of every tenant. Pause the one subscription: POST /v1/subscriptions/{id}/pause.";
const RESUME = "Postrider pauses no queue: whoever paused this one by hand resumes it by hand.";
const CHANGE = "When a delivery is attempted is decided in Postgres. To have it attempted now, retry it.";
const LIMIT =
  "Limits belong to subscriptions (rateLimit, maxInFlight: PATCH /v1/subscriptions/{id}) and to MAX_IN_FLIGHT.";
const ADD = "Jobs are made from events only. Post the event: POST /v1/events.";
const SCHEDULER = "Postrider has no job schedulers.";
const OTHERWISE = "The console shows the queues and retries dead letters. Everything else is done through the API.";

/** What to do instead, by Bull Board's route. */
const INSTEAD: Readonly<Record<string, string>> = {
  "post /api/queues/:queueName/add": ADD,
  "put /api/queues/pause": PAUSE,
  "put /api/queues/resume": RESUME,
  "put /api/queues/:queueName/pause": PAUSE,
  "put /api/queues/:queueName/resume": RESUME,
  "put /api/queues/:queueName/empty": REMOVE,
  "put /api/queues/:queueName/obliterate": REMOVE,
  "put /api/queues/:queueName/clean/:queueStatus": REMOVE,
  "put /api/queues/:queueName/:jobId/clean": REMOVE,
  "put /api/queues/:queueName/:jobId/remove-unprocessed-children": REMOVE,
  "put /api/queues/:queueName/promote":
    "All waiting retries at once would be a burst for subscribers that are just failing. Promote the one you mean.",
  "put /api/queues/:queueName/:jobId/promote": CHANGE,
  "put /api/queues/:queueName/:jobId/retry": "Jobs of this queue are retried by the workers themselves.",
  "put /api/queues/:queueName/retry/:queueStatus": "Only the failed jobs of the queue retry are dead letters to retry.",
  "patch /api/queues/:queueName/:jobId/update-data":
    "A job carries ids and nothing else; what they stand for is in Postgres.",
  "patch /api/queues/:queueName/:jobId/delay": CHANGE,
  "patch /api/queues/:queueName/:jobId/priority": CHANGE,
  "put /api/queues/:queueName/concurrency": LIMIT,
  "put /api/queues/:queueName/rate-limit": LIMIT,
  "put /api/queues/:queueName/rate-limit/release": LIMIT,
  "put /api/queues/:queueName/job-schedulers/:schedulerId/remove": SCHEDULER,
  "patch /api/queues/:queueName/job-schedulers/:schedulerId": SCHEDULER,
  "put /api/queues/:queueName/job-schedulers/:schedulerId/run": SCHEDULER,
};

export const refuseChanges: NonNullable<BoardHooks["before"]> = ({ method, route }) => {
  const name = `${method} ${route}`;
  if (ALLOWED.has(name)) return { allow: true };
  return { allow: false, status: 403, errorKey: "ERRORS.FORBIDDEN", message: INSTEAD[name] ?? OTHERWISE };
};
