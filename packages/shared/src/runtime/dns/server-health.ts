import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../telemetry/logger.ts";
import { askRoot, type Failure } from "./ask-server.ts";
import type { DnsServers } from "./servers.ts";

/** The servers are asked for the root no more often than this. */
const MIN_INTERVAL_MS = 100;

/**
 * Decides whose fault it is that a look-up fails: that of the name's own servers, or of ours. A resolver passes on the
 * silence or the failure of a name's servers as its own, so one look-up cannot show it. Ours are to blame if they do not
 * answer for the root of DNS either, nor for any other name meanwhile.
 */
export class ServerHealth {
  readonly #servers: DnsServers;
  readonly #log: Logger;
  #respondedAt = Number.NEGATIVE_INFINITY;
  #resolvedAt = Number.NEGATIVE_INFINITY;
  /** A server inside of a closed network may never know the root: then only its silence counts. */
  #knowsRoot = false;
  /** When the last probe began that had no answer. */
  #failedProbeAt = Number.NEGATIVE_INFINITY;
  #downSince: number | undefined;
  #probe = { startedAt: Number.NEGATIVE_INFINITY, done: Promise.resolve() };
  #nextProbe: Promise<void> | undefined;

  constructor(servers: DnsServers, log: Logger) {
    this.#servers = servers;
    this.#log = log;
  }

  /** Notes a response of a server. @param isReal it had an answer, and not only an error */
  note(isReal: boolean): void {
    this.#respondedAt = performance.now();
    if (isReal) this.#resolvedAt = this.#respondedAt;
    if (this.#downSince === undefined || (!isReal && this.#knowsRoot)) return;
    this.#downSince = undefined;
    this.#log.info("DNS servers answer again");
  }

  /** Resolves after a probe that began at `since` or later: the servers were asked for the root. It never rejects. */
  probe(since: number): Promise<void> {
    const { startedAt, done } = this.#probe;
    if (startedAt >= since) return done;
    this.#nextProbe ??= done
      .then(() => sleep(Math.max(0, startedAt + MIN_INTERVAL_MS - performance.now())))
      .then(() => {
        this.#nextProbe = undefined;
        this.#probe = { startedAt: performance.now(), done: this.#askRoot() };
        return this.#probe.done;
      });
    return this.#nextProbe;
  }

  async #askRoot(): Promise<void> {
    const startedAt = performance.now();
    let hasAnswer = false;
    const onResponse = (isReal: boolean) => {
      hasAnswer ||= isReal;
      this.#knowsRoot ||= isReal;
      this.note(isReal);
    };
    await Promise.all(this.#servers.inOrder().map((server) => askRoot(server, onResponse)));
    if (!hasAnswer) this.#failedProbeAt = startedAt;
  }

  /** Whether our servers have worked since then, as far as is known, so that a failure is that of the name's servers. */
  hasWorked({ isSilent }: Failure, since: number): boolean {
    // They may have come back in the meantime, too late for the look-up.
    if (this.#knowsRoot && this.#failedProbeAt >= since) return false;
    return isSilent ? this.#respondedAt >= since : this.#resolvedAt >= since || !this.#knowsRoot;
  }

  /** Whether our servers are to blame for the failure of a look-up that began at `since`. */
  async isToBlame(failure: Failure, since: number): Promise<boolean> {
    if (!this.hasWorked(failure, since)) await this.probe(since);
    if (this.hasWorked(failure, since)) return false;
    if (this.#downSince === undefined) {
      this.#downSince = since;
      const servers = this.#servers.inOrder();
      this.#log.warn({ code: failure.code, servers }, "DNS servers do not answer; deliveries wait for them");
    }
    return true;
  }

  /** For how long our servers have not answered; undefined while they do. */
  get downMs(): number | undefined {
    return this.#downSince === undefined ? undefined : performance.now() - this.#downSince;
  }
}
