import { Gauge, type Registry } from "prom-client";
import { every } from "../concurrency/every.ts";
import type { Pool } from "../store/pool.ts";
import { clock, MAX_CLOCK_SKEW_MS } from "./clock.ts";
import type { Logger } from "./telemetry/logger.ts";

const CHECK_MS = 1_000;
const SYNCHRONIZE_MS = 30_000;
/** A larger change within CHECK_MS is a jump of the machine's clock, or the machine was suspended. */
const JUMP_MS = 1_000;

/**
 * Measures the clock twice a minute, and at once when the machine's clock and the monotonic clock no longer agree: the
 * monotonic one stands still while a machine is suspended. Logs when the machine's clock becomes wrong and right again.
 */
export function watchClock({ pool, log, registry }: { pool: Pool; log: Logger; registry: Registry }) {
  registerSkew(registry);
  let synchronizedAt = Number.NEGATIVE_INFINITY;
  let skewMs = 0;
  let wasRight = true;

  async function check(): Promise<void> {
    const hasJumped = Math.abs(clock.skewMs - skewMs) > JUMP_MS;
    if (!hasJumped && performance.now() - synchronizedAt < SYNCHRONIZE_MS) return;
    await clock.synchronize(pool);
    synchronizedAt = performance.now();
    skewMs = clock.skewMs;
    if (clock.isRight === wasRight) return;
    wasRight = clock.isRight;
    if (wasRight) log.info("this machine's clock is right again");
    else log.warn({ skewSeconds: skewMs / 1_000, maxSeconds: MAX_CLOCK_SKEW_MS / 1_000 }, WRONG);
  }

  return every(CHECK_MS, "measuring Postgres's clock", log, check);
}

const WRONG =
  "this machine's clock differs from Postgres's, whose time is used instead: set the clock, or this process will not start again";

function registerSkew(registry: Registry): void {
  new Gauge({
    name: "postrider_clock_skew_seconds",
    help: "How far this machine's clock is ahead of Postgres's clock; negative if it is behind",
    registers: [registry],
    collect() {
      this.set(clock.skewMs / 1_000);
    },
  });
}
