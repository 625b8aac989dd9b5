import { isIP } from "node:net";
import type { Registry } from "prom-client";
import { isAllowedAddress, type AddressRules } from "../../core/address-rules.ts";
import type { Logger } from "../telemetry/logger.ts";
import { SILENCE, type Answer, type Query, type Question } from "./ask-server.ts";
import { askServers } from "./ask-servers.ts";
import { BusyBackoff } from "./busy-backoff.ts";
import { isDialable } from "./dial-order.ts";
import { HostsFile } from "./hosts-file.ts";
import { LookupCache } from "./lookup-cache.ts";
import { createLookupMetrics, type LookupMetrics } from "./lookup-metrics.ts";
import type { LookupResult, Unavailable } from "./lookup-result.ts";
import { LookupPlaces, RANKS } from "./lookup-places.ts";
import { localAddresses } from "./local-names.ts";
import type { Pending, Waiter } from "./pending-lookup.ts";
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
/** A look-up without an answer for this long, or for a third of its first caller's time, has the root asked for as well. */
const QUIET_MS = 500;
/** Of a caller's time, this part is for the look-up. */
const PART_OF_TIMEOUT = 0.9;
/** After an outage of our servers, deliveries follow within its length, and within a minute. */
const RETRY_OUTAGE_MS = { min: 2_000, max: 60_000 };

const NOTHING_TO_STOP = () => undefined;

export interface NameResolverOptions {
  /** DNS servers, instead of the system's. */
  servers?: readonly string[] | undefined;
  rules: AddressRules;
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
  readonly #backoff = new BusyBackoff();
  readonly #pending = new Map<string, Pending>();
  readonly #isUsable: Query["isUsable"];
  readonly #metrics: LookupMetrics;

  constructor({ servers, rules, hostsFile, log, registry }: NameResolverOptions) {
    this.#servers = new DnsServers(servers);
    this.#isUsable = (address) => isDialable(address) && isAllowedAddress(address, rules);
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
    const known = this.#find(name, timeoutMs);
    if (known !== undefined) {
      onResult(known);
      return NOTHING_TO_STOP;
    }
    const pending = this.#pending.get(name) ?? this.#begin(name);
    const waiter: Waiter = { tenant, timeoutMs, since: performance.now(), onResult, timer: undefined };
    pending.waiters.add(waiter);
    if (pending.running === undefined) this.#start(pending, waiter);
    const isInVain = pending.running === undefined && this.#backoff.isCrowded(tenant, pending.rank);
    if (isInVain) this.#giveUp(pending, waiter);
    else this.#wait(pending, waiter);
    return () => this.#leave(pending, waiter);
  }

  /** Ends all look-ups without a result. */
  close(): void {
    for (const pending of this.#pending.values()) this.#end(pending);
  }

  #find(name: string, timeoutMs: number): Answer | undefined {
    const addresses = isIP(name) ? [name] : (this.#hosts.find(name) ?? localAddresses(name, this.#hosts));
    if (addresses === undefined) return this.#cache.get(name, timeoutMs);
    return addresses.length > 0 ? { kind: "found", addresses, ttlMs: 0 } : { kind: "not_found" };
  }

  #begin(name: string): Pending {
    const rank = this.#cache.rankOf(name);
    const pending: Pending = { name, rank, since: performance.now(), waiters: new Set(), running: undefined };
    this.#pending.set(name, pending);
    // Whether our servers know the root is learnt while they work, and whether they work again while they do not.
    void this.#health.probe(this.#health.downMs === undefined ? 0 : pending.since);
    return pending;
  }

  /** Starts a look-up in a place of the waiter's tenant, if there is one. */
  #start(pending: Pending, { tenant, timeoutMs }: Waiter): void {
    if (!this.#places.acquire(tenant, pending.rank)) return;
    const startedAt = performance.now();
    const quiet = setTimeout(() => void this.#onQuiet(pending, startedAt), Math.min(QUIET_MS, timeoutMs / 3));
    pending.running = { tenant, quiet, question: this.#ask(pending, DEADLINE_MS, false) };
  }

  #ask(pending: Pending, deadlineMs: number, isRepeated: boolean): Question {
    const startedAt = performance.now();
    const onResponse = (isReal: boolean) => this.#health.note(isReal);
    const query = { name: pending.name, isUsable: this.#isUsable };
    const question = askServers(this.#servers, query, deadlineMs, onResponse);
    void question.answer.then(async (answer) => {
      if (!this.#isOpen(pending)) return;
      if (answer.kind !== "failed") return this.#settle(pending, answer);
      const isOurs = await this.#health.isToBlame(answer, startedAt);
      if (isOurs) return this.#settle(pending, this.#noServer());
      const leftMs = startedAt + deadlineMs - performance.now();
      // Our servers may have come back just now, and name servers fail once in a while.
      const isRepeatable = !isRepeated && !answer.isSilent && leftMs > MIN_REPEAT_MS && this.#isOpen(pending);
      if (isRepeatable) pending.running!.question = this.#ask(pending, leftMs, true);
      else this.#settle(pending, answer);
    });
    return question;
  }

  #isOpen(pending: Pending): boolean {
    return this.#pending.get(pending.name) === pending;
  }

  /** While our servers are known not to answer, no look-up waits for them any longer than this. */
  async #onQuiet(pending: Pending, startedAt: number): Promise<void> {
    const isDown = this.#health.downMs !== undefined && this.#health.seemsToBlame(startedAt);
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
    const { name, rank, waiters, running } = pending;
    if (!this.#isOpen(pending)) return false;
    this.#pending.delete(name);
    for (const waiter of waiters) clearTimeout(waiter.timer);
    if (running === undefined) return true;
    clearTimeout(running.quiet);
    running.question.cancel();
    this.#places.release(running.tenant, rank);
    this.#startWaiting();
    return true;
  }

  /** Starts the look-ups that have waited for a place: of names that are known to resolve first. */
  #startWaiting(): void {
    const waiting = [...this.#pending.values()].filter(({ running }) => running === undefined);
    for (const rank of RANKS.toReversed()) {
      for (const pending of waiting) if (pending.rank === rank) this.#startForAny(pending);
    }
  }

  /** A name that several tenants wait for needs a place of one of them. */
  #startForAny(pending: Pending): void {
    let tried: string | undefined;
    for (const waiter of pending.waiters) {
      if (pending.running !== undefined) return;
      if (waiter.tenant !== tried) this.#start(pending, waiter);
      tried = waiter.tenant;
    }
  }

  #wait(pending: Pending, waiter: Waiter): void {
    const { timeoutMs, since } = waiter;
    const allMs = pending.running === undefined ? MAX_WAIT_MS : Number.POSITIVE_INFINITY;
    const ms = Math.min(allMs, timeoutMs * PART_OF_TIMEOUT) - (performance.now() - since);
    waiter.timer = setTimeout(() => this.#onWaited(pending, waiter), ms);
  }

  #onWaited(pending: Pending, waiter: Waiter): void {
    const waitedMs = performance.now() - waiter.since;
    const isOver = pending.running === undefined || waitedMs >= waiter.timeoutMs * PART_OF_TIMEOUT - 1;
    if (isOver) this.#giveUp(pending, waiter);
    else this.#wait(pending, waiter);
  }

  /** The caller's time is over, or its wait for a place. */
  #giveUp(pending: Pending, waiter: Waiter): void {
    const { name, rank, since } = pending;
    let result: LookupResult = SILENCE;
    if (pending.running === undefined) {
      result = { kind: "unavailable", reason: "busy", retryInMs: this.#backoff.next(waiter.tenant, rank) };
    } else if (this.#health.seemsToBlame(since)) result = this.#noServer();
    else this.#cache.put(name, SILENCE, waiter.timeoutMs);
    this.#leave(pending, waiter);
    if (!this.#isOpen(pending)) this.#metrics.observe(result, (performance.now() - since) / 1_000);
    waiter.onResult(result);
  }

  #leave(pending: Pending, waiter: Waiter): void {
    clearTimeout(waiter.timer);
    if (pending.waiters.delete(waiter) && pending.waiters.size === 0) this.#end(pending);
  }
}
