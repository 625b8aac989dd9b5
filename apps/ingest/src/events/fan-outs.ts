import { LARGE_FAN_OUT } from "@postrider/shared/store/sql/accept.ts";
import type { AcceptRow } from "@postrider/shared/store/accept-steps.ts";
import type { NewEvent } from "./prepare.ts";

/** How long any event of a tenant may be as large as its last large one. */
const SUSPECT_MS = 10_000;
/** How long requests like a refused one are refused at once. */
const REFUSE_MS = 1_000;
const MAX_TENANTS = 1_000;
const MAX_TYPES = 100;

type Kind = Pick<NewEvent, "tenant" | "type">;

interface Tenant {
  /** Deliveries of the last large fan-out. */
  load: number;
  suspectUntil: number;
  /** Deliveries by type, as last seen. A small fan-out counts as 1, and is noted only while the tenant is suspect. */
  types: Map<string, number>;
  /** Refused requests: the type of an event, and how many events they had. */
  refused: Map<string, { events: number; until: number }>;
}

/**
 * The large fan-outs and refusals of the last events, by tenant, in this process's memory. A fan-out is known only from
 * a statement that stored it or was refused for it, but the next event of the same type most likely has the same one.
 * Types may be new in each event, so for some seconds everything else of the tenant counts as large too.
 *
 * Times are in milliseconds of `performance.now()`.
 */
export class FanOuts {
  /** In the order in which they last had a large fan-out. */
  readonly #tenants = new Map<string, Tenant>();

  /** How many deliveries these events will probably make. 0 if each will make few, and its tenant's last ones did. */
  estimate(events: readonly Kind[], now: number): number {
    if (this.#tenants.size === 0) return 0;
    return events.reduce((sum, event) => sum + this.#estimateOne(event, now), 0);
  }

  #estimateOne({ tenant, type }: Kind, now: number): number {
    const known = this.#tenants.get(tenant);
    if (!known) return 0;
    const isSuspect = now < known.suspectUntil;
    const deliveries = known.types.get(type) ?? (isSuspect ? known.load : 0);
    return deliveries >= LARGE_FAN_OUT || isSuspect ? deliveries : 0;
  }

  /** @param row what the statement that stored the event wrote, and whether that is not all */
  learn(event: Kind, { size: deliveries, expanding }: Pick<AcceptRow, "size" | "expanding">, now: number): void {
    // Few deliveries where the statement was full say nothing.
    if (expanding && deliveries < LARGE_FAN_OUT) return;
    const known =
      deliveries >= LARGE_FAN_OUT ? this.#suspect(event.tenant, deliveries, now) : this.#tenants.get(event.tenant);
    if (!known) return;
    known.types.delete(event.type);
    if (now >= known.suspectUntil) return;
    setBounded(known.types, event.type, deliveries >= LARGE_FAN_OUT ? deliveries : 1, MAX_TYPES);
  }

  /** Remembers that an event has a large fan-out, of unknown size (store/sql/accept.ts). */
  find(event: Kind, now: number): void {
    this.learn(event, { size: LARGE_FAN_OUT, expanding: true }, now);
  }

  /** @param event the event of the request that the statement named (store/sql/accept-large-fan-outs.ts) */
  refuse(event: Kind, events: number, now: number): void {
    const known = this.#suspect(event.tenant, LARGE_FAN_OUT, now);
    known.refused.delete(event.type);
    setBounded(known.refused, event.type, { events, until: now + REFUSE_MS }, MAX_TYPES);
  }

  /** Whether a request would very likely be refused again. */
  isRefused(events: readonly Kind[], now: number): boolean {
    if (this.#tenants.size === 0) return false;
    return events.some(({ tenant, type }) => {
      const refusal = this.#tenants.get(tenant)?.refused.get(type);
      return refusal !== undefined && now < refusal.until && events.length >= refusal.events;
    });
  }

  #suspect(tenant: string, load: number, now: number): Tenant {
    const known = this.#tenants.get(tenant) ?? { load, suspectUntil: 0, types: new Map(), refused: new Map() };
    known.load = Math.max(load, now < known.suspectUntil ? known.load : 0);
    known.suspectUntil = now + SUSPECT_MS;
    this.#tenants.delete(tenant);
    setBounded(this.#tenants, tenant, known, MAX_TENANTS);
    return known;
  }
}

/** Adds an entry, and removes the oldest one of a full map. */
function setBounded<Value>(map: Map<string, Value>, key: string, value: Value, max: number): void {
  map.set(key, value);
  if (map.size > max) map.delete(map.keys().next().value!);
}
