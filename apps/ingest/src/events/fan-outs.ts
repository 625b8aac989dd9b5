import type { NewEvent } from "./prepare.ts";

/** A smaller fan-out takes a few milliseconds at most. */
const MIN_LARGE = 200;
const MAX_REMEMBERED = 10_000;

type Kind = Pick<NewEvent, "tenant" | "type">;

/**
 * The large fan-outs of the last events, by tenant and type, in this process's memory. A fan-out is known only after the
 * statement that writes it, but the next event of the same type most likely has the same one.
 */
export class FanOuts {
  /** In the order in which they were last seen. */
  readonly #deliveries = new Map<string, number>();

  /** How many deliveries these events will probably make, without small fan-outs. */
  estimate(events: readonly Kind[]): number {
    if (this.#deliveries.size === 0) return 0;
    return events.reduce((sum, event) => sum + (this.#deliveries.get(nameOf(event)) ?? 0), 0);
  }

  /** @param deliveries how many the statement that stored the event wrote */
  learn(event: Kind, deliveries: number): void {
    if (deliveries < MIN_LARGE && this.#deliveries.size === 0) return;
    const name = nameOf(event);
    this.#deliveries.delete(name);
    if (deliveries < MIN_LARGE) return;
    this.#deliveries.set(name, deliveries);
    if (this.#deliveries.size > MAX_REMEMBERED) this.#deliveries.delete(this.#deliveries.keys().next().value!);
  }
}

/** The tenants and types whose events were refused because of a backlog of expansions (store/sql/accept.ts). */
export class Refusals {
  readonly #until = new Map<string, number>();

  /** @param until in milliseconds of `performance.now()` */
  add(event: Kind, until: number): void {
    this.#until.set(nameOf(event), until);
  }

  /** Whether one of the events would very likely be refused again, and fail its flush once more. */
  has(events: readonly Kind[], now: number): boolean {
    if (this.#until.size === 0) return false;
    for (const [name, until] of this.#until) if (until <= now) this.#until.delete(name);
    return events.some((event) => this.#until.has(nameOf(event)));
  }
}

const nameOf = ({ tenant, type }: Kind): string => `${tenant} ${type}`;
