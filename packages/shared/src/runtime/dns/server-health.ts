import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../telemetry/logger.ts";
import { askRoot, SILENCE, type Failure } from "./ask-server.ts";
import type { DnsServers } from "./servers.ts";

/** The servers are asked for the root no more often than this. */
const MIN_INTERVAL_MS = 100;
/** Silence after a question for the root for this long means something to a caller that cannot wait for its end. */
const PATIENCE_MS = 250;
/**
 * For how long errors count as those of our servers while these have never had an answer; and while they fail for the
 * root, which they knew, but answer for other names: a forwarder may still remember those.
 */
const DOUBT_MS = 5 * 60_000;

/** A question for the root, to all servers. */
interface Probe {
  startedAt: number;
  /** When the first of the probes began that have had no response, this one included. */
  askedSince: number;
  hasResponse: boolean;
  done: Promise<void>;
}

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
  /** A server inside of a closed network may never know the root, or no more: then only its silence counts. */
  #knowsRoot = false;
  #firstErrorAt = Number.POSITIVE_INFINITY;
  /** When the first probe without an answer began, since the last one with an answer. */
  #rootFailsSince = Number.POSITIVE_INFINITY;
  /** When the last probe began, if it had no answer. */
  #failedProbeAt = Number.NEGATIVE_INFINITY;
  #downSince: number | undefined;
  #probe: Probe = {
    startedAt: Number.NEGATIVE_INFINITY,
    askedSince: Number.NEGATIVE_INFINITY,
    hasResponse: true,
    done: Promise.resolve(),
  };
  #nextProbe: Promise<void> | undefined;

  constructor(servers: DnsServers, log: Logger) {
    this.#servers = servers;
    this.#log = log;
  }

  /** Notes a response of a server. @param isReal it had an answer, and not only an error */
  note(isReal: boolean): void {
    this.#respondedAt = performance.now();
    if (isReal) this.#onRealAnswer();
    else this.#firstErrorAt = Math.min(this.#firstErrorAt, this.#respondedAt);
    if (this.#downSince === undefined || (!isReal && this.#areErrorsOurs)) return;
    this.#downSince = undefined;
    this.#log.info("DNS servers answer again");
  }

  #onRealAnswer(): void {
    this.#resolvedAt = this.#respondedAt;
    // The servers may refuse questions for the root by now.
    if (this.#failedProbeAt - this.#rootFailsSince > DOUBT_MS) this.#knowsRoot = false;
  }

  /** Whether an error without any answer meanwhile is a failure of our servers. */
  get #areErrorsOurs(): boolean {
    if (this.#knowsRoot) return true;
    const hasAnswered = this.#resolvedAt !== Number.NEGATIVE_INFINITY;
    // A process that starts while our servers fail knows nothing else of them.
    return !hasAnswered && performance.now() - this.#firstErrorAt < DOUBT_MS;
  }

  /** Resolves after a probe that began at `since` or later: the servers were asked for the root. It never rejects. */
  probe(since: number): Promise<void> {
    const { startedAt, done } = this.#probe;
    if (startedAt >= since) return done;
    this.#nextProbe ??= done
      .then(() => sleep(Math.max(0, startedAt + MIN_INTERVAL_MS - performance.now())))
      .then(() => {
        this.#nextProbe = undefined;
        const now = performance.now();
        const askedSince = this.#probe.hasResponse ? now : this.#probe.askedSince;
        const probe: Probe = { startedAt: now, askedSince, hasResponse: false, done: Promise.resolve() };
        this.#probe = probe;
        probe.done = this.#askRoot(probe);
        return probe.done;
      });
    return this.#nextProbe;
  }

  async #askRoot(probe: Probe): Promise<void> {
    const { startedAt } = probe;
    let hasAnswer = false;
    const onResponse = (isReal: boolean) => {
      probe.hasResponse = true;
      if (isReal) {
        hasAnswer = true;
        this.#knowsRoot = true;
        this.#rootFailsSince = Number.POSITIVE_INFINITY;
      }
      this.note(isReal);
    };
    await Promise.all(this.#servers.inOrder().map((server) => askRoot(server, onResponse)));
    if (hasAnswer) return;
    this.#failedProbeAt = startedAt;
    this.#rootFailsSince = Math.min(this.#rootFailsSince, startedAt);
  }

  /** Whether our servers have worked since then, as far as is known, so that a failure is that of the name's servers. */
  #hasWorked({ isSilent }: Failure, since: number): boolean {
    const areErrorsOurs = this.#areErrorsOurs;
    // They may have come back in the meantime, too late for the look-up.
    if (areErrorsOurs && this.#failedProbeAt >= since) return false;
    return isSilent ? this.#respondedAt >= since : this.#resolvedAt >= since || !areErrorsOurs;
  }

  /** Whether our servers are to blame for the failure of a look-up that began at `since`. */
  async isToBlame(failure: Failure, since: number): Promise<boolean> {
    if (!this.#hasWorked(failure, since)) await this.probe(since);
    // They may know the root by now, or again.
    else if (!this.#knowsRoot) void this.probe(since);
    if (this.#hasWorked(failure, since)) return false;
    this.#noteDown(failure, since);
    return true;
  }

  /** Whether our servers seem to be to blame for the silence since then, for a caller that waits no longer. */
  seemsToBlame(since: number): boolean {
    if (this.#hasWorked(SILENCE, since)) return false;
    if (this.#downSince !== undefined) return true;
    const { askedSince, hasResponse } = this.#probe;
    const isUnanswered = !hasResponse && performance.now() - Math.max(askedSince, since) >= PATIENCE_MS;
    if (!isUnanswered && this.#failedProbeAt < since) return false;
    this.#noteDown(SILENCE, since);
    return true;
  }

  #noteDown({ code }: Failure, since: number): void {
    if (this.#downSince !== undefined) return;
    this.#downSince = since;
    const servers = this.#servers.inOrder();
    this.#log.warn({ code, servers }, "DNS servers do not answer; deliveries wait for them");
  }

  /** For how long our servers have not answered; undefined while they do. */
  get downMs(): number | undefined {
    return this.#downSince === undefined ? undefined : performance.now() - this.#downSince;
  }
}
