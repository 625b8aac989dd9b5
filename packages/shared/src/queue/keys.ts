/** Prefix of all Redis keys. The braces keep them on one node of a Redis Cluster. */
export const KEY_PREFIX = "{postrider}";

/** One hash per subscription: its circuit breaker (breaker/breaker.lua). */
export const breakerKey = (subscriptionId: string): string => `${KEY_PREFIX}:breaker:${subscriptionId}`;

/** Sorted sets of the subscriptions whose breaker is open or half open, scored by the expiry of their breaker keys. */
export const OPEN_BREAKERS_KEY = `${KEY_PREFIX}:breakers:open`;
export const HALF_OPEN_BREAKERS_KEY = `${KEY_PREFIX}:breakers:half-open`;

/** BullMQ's lock of an active job. @param jobKey the job's own key */
export const lockKey = (jobKey: string): string => `${jobKey}:lock`;

/** The token bucket of a subscription's `rateLimit`. */
export const rateLimitKey = (subscriptionId: string): string => `${KEY_PREFIX}:rate:${subscriptionId}`;

/** Hash of tenant to its retries that fall due in a second (queue/retry-turn.lua). @param second Unix seconds */
export const dueRetriesKey = (second: number): string => `${KEY_PREFIX}:retries:${second}`;

/** Hash of worker id to its last heartbeat. */
export const WORKERS_KEY = `${KEY_PREFIX}:workers`;

/** A worker's hash of subscription id to the limit that blocks it, by the worker's id in WORKERS_KEY. */
export const limitsKey = (workerId: string): string => `${KEY_PREFIX}:limits:${workerId}`;

/** Hash with the watchdog's last run and its last repair. */
export const WATCHDOG_KEY = `${KEY_PREFIX}:watchdog`;

/** Id of the worker that exports the fleet's metrics. */
export const FLEET_EXPORTER_KEY = `${KEY_PREFIX}:fleet-metrics`;

/** Written to check whether Redis accepts writes. */
export const WRITE_CHECK_KEY = `${KEY_PREFIX}:write-check`;

/** Sorted set of the subscriptions that something happened to lately, scored by when: a failure, a transition, a paced report. */
export const WATCHED_KEY = `${KEY_PREFIX}:breakers:watched`;
