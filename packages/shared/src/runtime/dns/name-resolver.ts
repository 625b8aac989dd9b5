import { isIP } from "node:net";
import type { Registry } from "prom-client";
import type { Logger } from "../telemetry/logger.ts";
import type { Answer, Failure, Question } from "./ask-server.ts";
import { askServers } from "./ask-servers.ts";
import { HostsFile } from "./hosts-file.ts";
import { LookupCache } from "./lookup-cache.ts";
import { createLookupMetrics, type LookupMetrics } from "./lookup-metrics.ts";
import type { LookupResult, Unavailable } from "./lookup-result.ts";
import { LookupPlaces, RANKS, type Rank } from "./lookup-places.ts";
import { localAddresses } from "./local-names.ts";
import { ServerHealth } from "./server-health.ts";
import { DnsServers } from "./servers.ts";

export interface Lookup {
  host: string;
  tenant: string;
  /** When the caller will no longer wait. The result comes before that. */
  timeoutMs: number;
}

/** A look-up in DNS takes no longer. A name server that needs more is asked again by the next attempt. */
const DEADLINE_MS = 5_000;
/** A look-up that failed is repeated once if this much of its time is left. */
const MIN_REPEAT_MS = 1_000;
/** A look-up waits for its turn for no longer: its caller keeps a slot. */
const MAX_WAIT_MS = 1_000;
/** A look-up without an answer for this long has the servers asked for the root as well. */
const QUIET_MS = 500;
/** Of a caller's time, this part is for the look-up. */
const PART_OF_TIMEOUT = 0.9;
const RETRY_BUSY_MS = 2_000;
/** After an outage of our servers, deliveries follow within its length, and within a minute. */
const RETRY_OUTAGE_MS = { min: 2_000, max: 60_000 };

const SILENCE: Failure = { kind: "failed", code: "ETIMEOUT", isSilent: true };
const BUSY: Unavailable = { kind: "unavailable", reason: "busy", retryInMs: RETRY_BUSY_MS };
const NOTHING_TO_STOP = () => undefined;

interface Waiter {
  onResult: (result: LookupResult) => void;
  timer: NodeJS.Timeout;
}

/** A look-up that is under way or waits for its turn, and its callers. */
interface Pending {
  name: string;
  tenant: string;
  rank: Rank;
  since: number;
  waiters: Set<Waiter>;
  /** Ends the wait for a turn, and then the quiet time. */
  timer: NodeJS.Timeout | undefined;
  /** Undefined while it waits for its turn. */
  question: Question | undefined;
}

export interface NameResolverOptions {
  /** DNS servers, instead of the system's. */
  servers?: readonly string[] | undefined;
  hostsFile?: string;
  log: Logger;
  registry: Registry;
}

/**
 * Looks up host names, in `/etc/hosts` and in DNS, as c-ares does: on the event loop. `dns.lookup` blocks a thread for
 * as long as a name server is silent, and there are four, for everything.
 *
 * - Names are absolute, and both families of addresses are asked for.
 * - Look-ups of a name are shared. Answers are used for their TTL, and failures are remembered for some seconds.
 * - No tenant has so many look-ups under way that those of others wait.
 */
export class NameResolver {
  readonly #servers: DnsServers;
  readonly #hosts: HostsFile;
  readonly #health: ServerHealth;
  readonly #cache = new LookupCache();
  readonly #places = new LookupPlaces();
  readonly #pending = new Map<string, Pending>();
  readonly #metrics: LookupMetrics;

  constructor({ servers, hostsFile, log, registry }: NameResolverOptions) {
    this.#servers = new DnsServers(servers);
    this.#hosts = new HostsFile(hostsFile);
    this.#health = new ServerHealth(this.#servers, log);
    this.#metrics = createLookupMetrics(registry, () => {
      const underWay = this.#places.used;
      return { underWay, waiting: this.#pending.size - underWay };
    });
  }

  /**
   * Looks up a host name or an address.
   *
   * @param onResult called once, before this returns if the answer is known
   * @returns stops waiting; a look-up that nobody waits for ends
   */
  lookUp({ host, tenant, timeoutMs }: Lookup, onResult: (result: LookupResult) => void): () => void {
    const name = host.toLowerCase().replace(/\.$/, "");
    const known = this.#find(name);
    if (known !== undefined) {
      onResult(known);
      return NOTHING_TO_STOP;
    }
    const pending = this.#pending.get(name) ?? this.#begin(name, tenant);
    const waiter: Waiter = {
      onResult,
      timer: setTimeout(() => this.#giveUp(pending, waiter), timeoutMs * PART_OF_TIMEOUT),
    };
    pending.waiters.add(waiter);
    return () => this.#leave(pending, waiter);
  }

  /** Ends all look-ups without a result. */
  close(): void {
    for (const pending of this.#pending.values()) this.#end(pending);
  }

  #find(name: string): Answer | undefined {
    const addresses = isIP(name) ? [name] : (this.#hosts.find(name) ?? localAddresses(name, this.#hosts));
    if (addresses === undefined) return this.#cache.get(name);
    return addresses.length > 0 ? { kind: "found", addresses, ttlMs: 0 } : { kind: "not_found" };
  }

  #begin(name: string, tenant: string): Pending {
    const pending: Pending = {
      name,
      tenant,
      rank: this.#cache.rankOf(name),
      since: performance.now(),
      waiters: new Set(),
      timer: undefined,
      question: undefined,
    };
    this.#pending.set(name, pending);
    // Whether our servers know the root is learnt while they work.
    void this.#health.probe(0);
    if (!this.#start(pending)) pending.timer = setTimeout(() => this.#settle(pending, BUSY), MAX_WAIT_MS);
    return pending;
  }

  /** @returns false if the look-up has to wait for its turn */
  #start(pending: Pending): boolean {
    const { tenant, rank } = pending;
    if (!this.#places.acquire(tenant, rank)) return false;
    clearTimeout(pending.timer);
    const startedAt = performance.now();
    this.#ask(pending, DEADLINE_MS, false);
    pending.timer = setTimeout(() => void this.#onQuiet(pending, startedAt), QUIET_MS);
    return true;
  }

  #ask(pending: Pending, deadlineMs: number, isRepeated: boolean): void {
    const startedAt = performance.now();
    const onResponse = (isReal: boolean) => this.#health.note(isReal);
    pending.question = askServers(this.#servers, pending.name, deadlineMs, onResponse);
    void pending.question.answer.then(async (answer) => {
      if (!this.#isOpen(pending)) return;
      if (answer.kind !== "failed") return this.#settle(pending, answer);
      const isOurs = await this.#health.isToBlame(answer, startedAt);
      if (isOurs) return this.#settle(pending, this.#noServer());
      const leftMs = startedAt + deadlineMs - performance.now();
      // Our servers may have come back just now, and name servers fail once in a while.
      const isRepeatable = !isRepeated && !answer.isSilent && leftMs > MIN_REPEAT_MS && this.#isOpen(pending);
      if (isRepeatable) this.#ask(pending, leftMs, true);
      else this.#settle(pending, answer);
    });
  }

  #isOpen(pending: Pending): boolean {
    return this.#pending.get(pending.name) === pending;
  }

  /** While our servers are known not to answer, no look-up waits for them any longer than this. */
  async #onQuiet(pending: Pending, startedAt: number): Promise<void> {
    const { downMs } = this.#health;
    const isDown = downMs !== undefined && !this.#health.hasWorked(SILENCE, startedAt);
    if (isDown) this.#settle(pending, this.#noServer());
    else await this.#health.probe(startedAt);
  }

  #noServer(): Unavailable {
    const { min, max } = RETRY_OUTAGE_MS;
    const retryInMs = Math.min(max, Math.max(min, this.#health.downMs ?? 0));
    return { kind: "unavailable", reason: "no_server", retryInMs };
  }

  #settle(pending: Pending, result: LookupResult): void {
    const { name, waiters, since } = pending;
    if (!this.#end(pending)) return;
    if (result.kind !== "unavailable") this.#cache.put(name, result);
    this.#metrics.observe(result, (performance.now() - since) / 1_000);
    for (const { onResult } of waiters) onResult(result);
  }

  /** @returns false if it has ended before */
  #end(pending: Pending): boolean {
    const { name, tenant, rank, waiters, timer, question } = pending;
    if (!this.#isOpen(pending)) return false;
    this.#pending.delete(name);
    clearTimeout(timer);
    for (const waiter of waiters) clearTimeout(waiter.timer);
    if (question === undefined) return true;
    question.cancel();
    this.#places.release(tenant, rank);
    this.#startWaiting();
    return true;
  }

  /** Starts the look-ups that have waited for a place: of names that are known to resolve first. */
  #startWaiting(): void {
    const waiting = [...this.#pending.values()].filter(({ question }) => question === undefined);
    for (const rank of RANKS.toReversed()) {
      for (const pending of waiting) if (pending.rank === rank) this.#start(pending);
    }
  }

  /** The caller's time is over. */
  #giveUp(pending: Pending, waiter: Waiter): void {
    this.#leave(pending, waiter);
    if (pending.question === undefined) waiter.onResult(BUSY);
    else waiter.onResult(this.#health.hasWorked(SILENCE, pending.since) ? SILENCE : this.#noServer());
  }

  #leave(pending: Pending, waiter: Waiter): void {
    clearTimeout(waiter.timer);
    if (pending.waiters.delete(waiter) && pending.waiters.size === 0) this.#end(pending);
  }
}
