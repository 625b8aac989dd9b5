import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { migrate } from "@postrider/shared/store/migrate.ts";
import type { Client } from "@postrider/testkit/client/client.ts";
import { startDurablePostgres, startDurableRedis } from "@postrider/testkit/servers/durable.ts";
import { Stack } from "@postrider/testkit/stack/stack.ts";
import { holdsWithin } from "@postrider/testkit/wait.ts";
import type { Evidence, FaultWindow, Subscriber } from "./evidence.ts";
import { inject, type Stage } from "./faults.ts";
import { boundsExceeded, type Latency, measureLatency } from "./latency.ts";
import { audit, type Audit, hasPassed } from "./ledger.ts";
import { Load } from "./load.ts";
import { type PlannedFault, workersHit } from "./plan.ts";
import { readDatabase } from "./read-database.ts";
import { type RawReceipt, startReceivers } from "./receivers.ts";
import { Watch } from "./recovery.ts";
import { CHAOS_SETTINGS, MAX_IN_FLIGHT, SHUTDOWN_DEADLINE_MS, WHOLE_SCHEDULE_MS } from "./settings.ts";
import { SUBSCRIBERS } from "./subscribers.ts";

export interface ChaosOptions {
  seed: number;
  /** The minimum to post; the load continues until the last fault is over. */
  events: number;
  /** Events a second. */
  rate: number;
  workers: number;
  plan: readonly PlannedFault[];
  /** Keeps the logs and the evidence of a run that passed, too. */
  keep: boolean;
  progress: (line: string) => void;
  signal: AbortSignal;
}

interface FaultRecord extends FaultWindow {
  /** From its end; undefined if the fleet did not recover before the deadline. */
  recoveryMs: number | undefined;
}

export interface ChaosResult {
  audit: Audit;
  latency: Latency;
  faults: FaultRecord[];
  posted: number;
  loadMs: number;
  passed: boolean;
  /** The folder of the logs, if they were kept. */
  logFolder: string | undefined;
}

/** Generous, for a busy machine: the guarantee is that the fleet recovers by itself. */
const RECOVERY_DEADLINE_MS = 30_000;
/** If no delivery finishes for this long after the last fault, none will. */
const STANDSTILL_MS = WHOLE_SCHEDULE_MS;
/** As a supervisor does. */
const RESTART_AFTER_MS = 500;
const SETTLE_DEADLINE_MS = 15 * 60_000;

/** Runs the plan under load on real processes and audits the result. Leaves no process running, whatever happens. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { progress, workers } = options;
  let { keep } = options;
  const cleanUp: (() => Promise<unknown>)[] = [];
  const logFolder = mkdtempSync(join(tmpdir(), "postrider-chaos-"));
  // The account that runs the servers must be able to reach its folder.
  chmodSync(logFolder, 0o711);
  try {
    progress("starting PostgreSQL, Redis, receivers, ingest and workers");
    const [postgres, redis] = await Promise.all([startDurablePostgres(logFolder), startDurableRedis(logFolder)]);
    cleanUp.push(() => Promise.all([postgres.stop(), redis.stop()]));
    await migrate(postgres.url);
    const names = SUBSCRIBERS.map((_, number) => `subscriber-${number + 1}`);
    const receivers = await startReceivers(names);
    cleanUp.push(() => receivers.stop());
    const stack = await Stack.prepare({
      env: {
        ...CHAOS_SETTINGS,
        DATABASE_URL: postgres.url,
        REDIS_URL: redis.url,
        API_KEYS: `chaos_${randomBytes(24).toString("hex")}`,
        ENCRYPTION_KEY: randomBytes(32).toString("base64"),
      },
      processes: { logFolder, restartAfterMs: RESTART_AFTER_MS },
    });
    cleanUp.push(() => stack.stop(2 * SHUTDOWN_DEADLINE_MS));
    await Promise.all([stack.startIngest(), stack.startWorkers(workers)]);
    const subscribers = await subscribe(stack.api, receivers.urls);
    const watch = new Watch(postgres.url);
    cleanUp.push(() => watch.stop());
    const load = new Load(stack.api.baseUrl, stack.api.key, options.seed);
    cleanUp.push(() => load.stop());

    const stage: Stage = { stack, postgres, redis, receivers, subscribers: names };
    const startedAt = Date.now();
    const loading = load.run(options.rate);
    const { faults, violations } = await play(options, stage, watch, load);
    while (load.posted < options.events && !options.signal.aborted) {
      progress(`all faults are over; posted ${load.posted}/${options.events}`);
      await pause(200);
    }
    await load.stop();
    await loading;
    const loadMs = Date.now() - startedAt;
    await settle(options, watch);
    const { receipts, refusals } = await receivers.collect();
    const toReceipts = (raw: RawReceipt[]) =>
      raw.map(([name, event, at]) => ({ event, at, subscription: subscribers[names.indexOf(name)]!.id }));
    const evidence: Evidence = {
      accepted: load.accepted,
      unknown: load.unknown,
      subscribers,
      ...(await readDatabase(postgres.url)),
      receipts: toReceipts(receipts),
      refusals: toReceipts(refusals),
      faults,
    };
    const audited = audit(evidence);
    const latency = measureLatency(evidence);
    audited.violations.push(
      ...boundsExceeded(latency),
      ...violations,
      ...load.refused.map((answer) => `a valid request was refused: ${answer}`),
    );
    const passed = hasPassed(audited);
    keep ||= !passed;
    if (keep) writeEvidence(logFolder, evidence);
    return {
      audit: audited,
      latency,
      faults,
      posted: load.posted,
      loadMs,
      passed,
      logFolder: keep ? logFolder : undefined,
    };
  } catch (error) {
    keep = true;
    throw new Error(`${(error as Error).message}; logs: ${logFolder}`, { cause: error });
  } finally {
    progress("stopping");
    for (const step of cleanUp.toReversed()) await step();
    if (!keep) rmSync(logFolder, { recursive: true, force: true });
    progress("");
  }
}

/** One fault after the other, each after the fleet has recovered from the one before. */
async function play(
  { plan, workers, progress, signal }: ChaosOptions,
  stage: Stage,
  watch: Watch,
  load: Load,
): Promise<{ faults: FaultRecord[]; violations: string[] }> {
  const faults: FaultRecord[] = [];
  const violations: string[] = [];
  progress("load has begun; waiting for a steady state");
  if ((await watch.untilRecovered(Date.now(), RECOVERY_DEADLINE_MS)) === undefined)
    violations.push("under load and without a fault, due deliveries stay older than a second");
  for (const [index, planned] of plan.entries()) {
    if (signal.aborted) break;
    await pause(planned.afterMs);
    progress(`fault ${index + 1}/${plan.length} ${planned.name}; accepted ${load.accepted.size}`);
    const startedAt = Date.now();
    const broken = await inject(stage, planned);
    const endedAt = Date.now();
    const recoveryMs = await watch.untilRecovered(endedAt, RECOVERY_DEADLINE_MS);
    const duplicateBound = MAX_IN_FLIGHT * workersHit(planned.name, workers);
    const brokenSubscribers = planned.name.startsWith("receivers-") ? planned.hits : [];
    faults.push({ name: planned.name, startedAt, endedAt, brokenSubscribers, duplicateBound, recoveryMs });
    if (broken !== undefined) violations.push(`${planned.name}: ${broken}`);
    if (recoveryMs === undefined)
      violations.push(`${planned.name}: not recovered after ${RECOVERY_DEADLINE_MS / 1000} s, the oldest due is ${Math.round((watch.oldestDueMs ?? Number.NaN) / 1000)} s old`); // prettier-ignore
    // The next fault hits a complete fleet.
    await Promise.all([stage.stack.ingest, ...stage.stack.workers].map((one) => one.untilReady()));
  }
  return { faults, violations };
}

/**
 * Waits until no delivery is unfinished, or none has finished for long; the ledger counts the rest as lost. A backlog
 * of thousands takes its time, because subscribers that refuse so much open their breakers again and again.
 */
async function settle({ progress, signal }: ChaosOptions, watch: Watch): Promise<void> {
  let min = Number.POSITIVE_INFINITY;
  let movedAt = Date.now();
  await holdsWithin(SETTLE_DEADLINE_MS, 250, async () => {
    const left = await watch.unfinished();
    progress(`load has stopped; unfinished: ${JSON.stringify(left)}`);
    if (signal.aborted) return true;
    if (left === undefined) return false;
    const sum = Object.values(left).reduce((all, count) => all + count, 0);
    if (sum < min) movedAt = Date.now();
    min = Math.min(min, sum);
    return sum === 0 || Date.now() - movedAt > STANDSTILL_MS;
  });
}

async function subscribe(api: Client, urls: readonly string[]): Promise<Subscriber[]> {
  const subscribers: Subscriber[] = [];
  for (const [number, { tenant, eventTypes }] of SUBSCRIBERS.entries()) {
    // A limit this high never takes effect.
    const subscription = { tenant, eventTypes: [...eventTypes], url: urls[number]!, maxInFlight: 1_000 };
    subscribers.push({ id: (await api.subscribe(subscription)).id, tenant, eventTypes });
  }
  return subscribers;
}

function writeEvidence(folder: string, evidence: Evidence): void {
  const plain = { ...evidence, accepted: Object.fromEntries(evidence.accepted) };
  writeFileSync(join(folder, "evidence.json"), JSON.stringify(plain));
}
