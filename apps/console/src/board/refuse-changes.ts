import type { BoardHooks } from "@bull-board/api/typings/app";

/** Bull Board's routes that only read. Any other route, also one of a later version, is refused. */
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
  "Postgres is the truth: the watchdog would add the job again. To stop deliveries, pause the subscription (POST /v1/subscriptions/{id}/pause) or delete it.";
const PAUSE =
  "A paused queue stops the deliveries of every tenant. Pause the one subscription: POST /v1/subscriptions/{id}/pause.";
const RESUME = "Postrider never pauses a queue. Resume it with the tool that paused it.";
const CHANGE = "Postgres decides when a delivery is attempted. To attempt it now, retry it.";
const LIMIT =
  "Limits belong to subscriptions (rateLimit, maxInFlight: PATCH /v1/subscriptions/{id}) and to MAX_IN_FLIGHT.";
const ADD = "Jobs are created from events only. Send the event: POST /v1/events.";
const SCHEDULER = "Postrider has no job schedulers.";
const OTHERWISE = "The console shows the queues and retries dead letters. Use the API for everything else.";

/** What to do instead of a refused action, by Bull Board's route. */
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
    "Promoting all retries would send a burst to subscribers that are failing. Promote a single job.",
  "put /api/queues/:queueName/:jobId/promote": CHANGE,
  "put /api/queues/:queueName/:jobId/retry": "The workers retry the jobs of this queue themselves.",
  "put /api/queues/:queueName/retry/:queueStatus":
    "Only failed jobs of the queues 'retry' and 'dead-letters' are dead letters that can be retried.",
  "patch /api/queues/:queueName/:jobId/update-data": "A job has ids and nothing else; the data is in Postgres.",
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
