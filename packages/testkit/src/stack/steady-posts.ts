import { setTimeout as pause } from "node:timers/promises";
import { orders } from "../factories/events.ts";
import type { Accepted } from "../client/types.ts";
import type { Stack } from "./stack.ts";

const CALLERS = 4;
const EVERY_MS = 20;
/** A caller waits this long after an answer other than 202. */
const AGAIN_AFTER_MS = 200;

export interface AcceptedPost {
  id: string;
  /** Unix milliseconds of its 202. */
  at: number;
}

/** Callers that post events of one tenant, one after another, until they are stopped. */
export class SteadyPosts {
  /** In the order of their 202s. */
  readonly accepted: AcceptedPost[] = [];
  readonly #stopping = new AbortController();
  readonly #callers: Promise<void>[];

  constructor({ api }: Pick<Stack, "api">, tenant: string) {
    this.#callers = Array.from({ length: CALLERS }, async () => {
      while (!this.#stopping.signal.aborted) {
        const answer = await api
          .call<Accepted>("POST", "/v1/events", { body: orders(1, tenant)[0]! })
          .catch(() => undefined);
        if (answer?.status === 202) this.accepted.push({ id: answer.body.id, at: Date.now() });
        await pause(answer?.status === 202 ? EVERY_MS : AGAIN_AFTER_MS);
      }
    });
  }

  /** @returns the ids of all events that were answered with 202 */
  async stop(): Promise<string[]> {
    this.#stopping.abort();
    await Promise.all(this.#callers);
    return this.accepted.map(({ id }) => id);
  }
}
