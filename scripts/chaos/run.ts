import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { migrate } from "../../packages/shared/src/store/migrate.ts";
import { readDatabase } from "./evidence.ts";
import { inject, type Stage } from "./faults.ts";
import { startFleet } from "./fleet.ts";
import { isGood, reckon, type Evidence, type FaultWindow, type Reckoning, type Subscriber } from "./ledger.ts";
import { Load } from "./load.ts";
import { workersHit, type PlannedFault } from "./plan.ts";
import { startReceivers, type RawReceipt } from "./receivers.ts";
import { Watch } from "./recovery.ts";
import { startDurablePostgres, startLoggingRedis } from "./servers.ts";
import { CHAOS_SETTINGS, MAX_IN_FLIGHT, SHUTDOWN_DEADLINE_MS, WHOLE_SCHEDULE_MS } from "./settings.ts";
import { SUBSCRIBERS } from "./subscribers.ts";
import { until } from "./until.ts";

export interface ChaosOptions {
  seed: number;
  /** At least so many are posted; load goes on until the last fault is over. */
  events: number;
  /** Events a second. */
  rate: number;
  workers: number;
  plan: readonly PlannedFault[];
  /** Leaves logs and the evidence in their folder though all went well. */
  keep: boolean;
  progress: (line: string) => void;
  signal: AbortSignal;
}

interface FaultRecord extends FaultWindow {
  lastedMs: number;
  /** From its end; undefined where the fleet did not recover before the deadline. */
  recoveryMs: number | undefined;
}

export interface ChaosResult {
  reckoning: Reckoning;
  faults: FaultRecord[];
  posted: number;
  loadMs: number;
  good: boolean;
  /** Where the logs are, if they were kept. */
  logFolder: string | undefined;
}

/** Generous, for a busy machine: what matters is that it recovers by itself. */
const RECOVERY_DEADLINE_MS = 30_000;
/** After the last fault deliveries are finished without a longer pause than this, until all are. */
const STANDSTILL_MS = WHOLE_SCHEDULE_MS;
const SETTLE_DEADLINE_MS = 15 * 60_000;

/** Runs the plan under load on real processes and reckons up. Leaves nothing running, whatever happens. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { progress, workers } = options;
  let { keep } = options;
  const cleanUp: (() => Promise<unknown>)[] = [];
  const logFolder = mkdtempSync(join(tmpdir(), "postrider-chaos-"));
  // The servers' own account passes through to its folder.
  chmodSync(logFolder, 0o711);
  try {
    progress("starting PostgreSQL, Redis, receivers, ingest and workers");
    const [postgres, redis] = await Promise.all([startDurablePostgres(logFolder), startLoggingRedis(logFolder)]);
    cleanUp.push(() => Promise.all([postgres.stop(), redis.stop()]));
    await migrate(postgres.url);
    const receivers = await startReceivers();
    cleanUp.push(() => receivers.stop());
    const apiKey = `chaos_${randomBytes(24).toString("hex")}`;
    const fleet = await startFleet({
      workers,
      logFolder,
      env: {
        ...CHAOS_SETTINGS,
        DATABASE_URL: postgres.url,
        REDIS_URL: redis.url,
        API_KEYS: apiKey,
        ENCRYPTION_KEY: randomBytes(32).toString("base64"),
      },
    });
    cleanUp.push(() => fleet.stop(2 * SHUTDOWN_DEADLINE_MS));
    const names = SUBSCRIBERS.map((_, number) => `subscriber-${number + 1}`);
    const subscribers = await subscribe(
      fleet.apiUrl,
      apiKey,
      names.map((name) => receivers.urlOf(name)),
    );
    const watch = new Watch(postgres.url);
    cleanUp.push(() => watch.stop());
    const load = new Load(fleet.apiUrl, apiKey, options.seed);
    cleanUp.push(() => load.stop());

    const stage: Stage = { fleet, postgres, redis, receivers, subscribers: names };
    const startedAt = Date.now();
    const loading = load.run(options.rate);
    const { faults, wrongs } = await play(options, stage, watch, load);
    while (load.posted < options.events && !options.signal.aborted) {
      progress(`all faults are over; posted ${load.posted}/${options.events}`);
      await pause(200);
    }
    await load.stop();
    await loading;
    const loadMs = Date.now() - startedAt;
    await settle(options, watch);
    const { receipts, refusals } = await receivers.tell();
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
    const reckoning = reckon(evidence);
    reckoning.wrongs.push(...wrongs, ...load.refused.map((answer) => `a sound request was refused: ${answer}`));
    const good = isGood(reckoning);
    // Whoever looks into a red run wants all of it.
    keep ||= !good;
    if (keep) writeEvidence(logFolder, evidence);
    return {
      reckoning,
      faults,
      posted: load.posted,
      loadMs,
      good,
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
): Promise<{ faults: FaultRecord[]; wrongs: string[] }> {
  const faults: FaultRecord[] = [];
  const wrongs: string[] = [];
  progress("load has begun; waiting for a steady state");
  if ((await watch.untilRecovered(Date.now(), RECOVERY_DEADLINE_MS)) === undefined)
    wrongs.push("under load and without any fault, what is due stays older than a second");
  for (const [index, planned] of plan.entries()) {
    if (signal.aborted) break;
    await pause(planned.afterMs);
    progress(`fault ${index + 1}/${plan.length} ${planned.name}; accepted ${load.accepted.size}`);
    const startedAt = Date.now();
    const broken = await inject(stage, planned);
    const endedAt = Date.now();
    const recoveryMs = await watch.untilRecovered(endedAt, RECOVERY_DEADLINE_MS);
    const duplicateBound = MAX_IN_FLIGHT * workersHit(planned.name, workers);
    faults.push({ name: planned.name, startedAt, duplicateBound, lastedMs: endedAt - startedAt, recoveryMs });
    if (broken !== undefined) wrongs.push(`${planned.name}: ${broken}`);
    if (recoveryMs === undefined)
      wrongs.push(`${planned.name}: not recovered after ${RECOVERY_DEADLINE_MS / 1000} s, the oldest due is ${Math.round((watch.oldestDueMs ?? Number.NaN) / 1000)} s old`); // prettier-ignore
    // The next fault finds the whole fleet again.
    await Promise.all([stage.fleet.ingest, ...stage.fleet.workers].map((one) => one.untilHealthy()));
  }
  return { faults, wrongs };
}

/**
 * Waits until no delivery is unfinished, or none has been finished for long; what is then is counted as lost by the ledger. A
 * backlog of thousands may take its time: subscribers that refuse so much open their breakers again and again.
 */
async function settle({ progress, signal }: ChaosOptions, watch: Watch): Promise<void> {
  let least = Number.POSITIVE_INFINITY;
  let movedAt = Date.now();
  await until(
    "no delivery is unfinished",
    SETTLE_DEADLINE_MS,
    async () => {
      const left = await watch.unfinished();
      progress(`load has stopped; unfinished: ${JSON.stringify(left)}`);
      if (signal.aborted) return true;
      if (left === undefined) return false;
      const sum = Object.values(left).reduce((all, count) => all + count, 0);
      if (sum < least) movedAt = Date.now();
      least = Math.min(least, sum);
      return sum === 0 || Date.now() - movedAt > STANDSTILL_MS;
    },
    250,
  ).catch(() => undefined);
}

async function subscribe(apiUrl: string, apiKey: string, urls: readonly string[]): Promise<Subscriber[]> {
  const subscribers: Subscriber[] = [];
  for (const [number, { tenant, eventTypes }] of SUBSCRIBERS.entries()) {
    const response = await fetch(`${apiUrl}/v1/subscriptions`, {
      method: "POST",
      headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
      // Wide enough that its limit is not what is tried here.
      body: JSON.stringify({ tenant, eventTypes, url: urls[number], maxInFlight: 1_000 }),
    });
    if (response.status !== 201) throw new Error(`POST /v1/subscriptions: ${response.status} ${await response.text()}`);
    subscribers.push({ id: ((await response.json()) as { id: string }).id, tenant, eventTypes });
  }
  return subscribers;
}

function writeEvidence(folder: string, evidence: Evidence): void {
  const plain = { ...evidence, accepted: Object.fromEntries(evidence.accepted) };
  writeFileSync(join(folder, "evidence.json"), JSON.stringify(plain));
}
