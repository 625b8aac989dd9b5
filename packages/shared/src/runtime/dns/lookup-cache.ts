import type { Answer } from "./ask-server.ts";
import type { Rank } from "./lookup-places.ts";

/** However long its TTL is, an address that changed is not used for longer. */
const MAX_TTL_MS = 60_000;
/** A TTL of 0 would cost a look-up per connection. */
const MIN_TTL_MS = 1_000;
/** How long it is remembered that a name has no address, or that its servers do not answer. */
const FAILURE_TTL_MS = 5_000;
/** Names in memory; each takes about 300 bytes, and 3 kB with the 32 addresses that are kept at most. */
const MAX_NAMES = 10_000;

interface Entry {
  answer: Answer;
  waitedMs: number;
  expiresAt: number;
}

/** The last answers for names. An expired one still shows whether the name resolved. */
export class LookupCache {
  /** Least recently looked up first. */
  readonly #entries = new Map<string, Entry>();

  /** @param timeoutMs how long the caller would wait */
  get(name: string, timeoutMs: number): Answer | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined || entry.expiresAt <= performance.now()) return undefined;
    return entry.waitedMs >= timeoutMs ? entry.answer : undefined;
  }

  rankOf(name: string): Rank {
    const entry = this.#entries.get(name);
    if (entry === undefined) return "new";
    return entry.answer.kind === "found" ? "known" : "failed";
  }

  /** @param waitedMs only a caller that would wait no longer gets it: the answer is that there was none until then */
  put(name: string, answer: Answer, waitedMs = Number.POSITIVE_INFINITY): void {
    const ttlMs = answer.kind === "found" ? Math.min(MAX_TTL_MS, Math.max(MIN_TTL_MS, answer.ttlMs)) : FAILURE_TTL_MS;
    this.#entries.delete(name);
    this.#entries.set(name, { answer, waitedMs, expiresAt: performance.now() + ttlMs });
    if (this.#entries.size <= MAX_NAMES) return;
    const [oldest] = this.#entries.keys();
    this.#entries.delete(oldest!);
  }
}
