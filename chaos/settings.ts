/** Intervals of seconds, so that many faults fit into a minute. */
export const MAX_IN_FLIGHT = 64;
export const LOCK_MS = 2_000;
export const SHUTDOWN_DEADLINE_MS = 3_000;

export const CHAOS_SETTINGS = {
  LOCK_DURATION: `${LOCK_MS}ms`,
  STALLED_INTERVAL: "1s",
  WATCHDOG_INTERVAL: "2s",
  DELIVERY_TIMEOUT: "1s",
  SHUTDOWN_DEADLINE: `${SHUTDOWN_DEADLINE_MS}ms`,
  // About half a minute in all, so that a receiver that is down for some seconds causes no dead letters.
  RETRY_SCHEDULE: "200ms,400ms,800ms,1s,2s,3s,4s,5s,6s,8s",
  BREAKER_COOLDOWN: "1s",
  MAX_IN_FLIGHT: String(MAX_IN_FLIGHT),
  HOST: "127.0.0.1",
  ALLOWED_NETWORKS: "127.0.0.0/8,::1/128",
} as const;

/** The duration of the retry schedule, with jitter and a timeout per attempt. */
export const WHOLE_SCHEDULE_MS = 45_000;
