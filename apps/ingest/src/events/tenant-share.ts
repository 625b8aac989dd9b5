import { MAX_PRIORITY, RELEASED } from "@postrider/shared/core/ids/batch-id.ts";

/** How long what a tenant did counts, in seconds: recent figures decay exponentially with this time constant. */
const MEMORY_S = 10;
/**
 * A tenant's share of what the mixed batches have carried recently: of those and not of all, or several floods would
 * fill them together.
 */
const SHARE = 1 / 8;
/** Deliveries per second that are within the share of every tenant, however quiet the others are. */
const LEAST_SHARE = 100;
/** How long a tenant may exceed its share at once, in seconds of it. */
const BURST_S = 2;
/** Fewer recent deliveries than this make no difference to how far behind a tenant goes. */
const LEAST_RECENT = 100;
const LEAST_PRIORITY = RELEASED + 1;

interface Tenant {
  /** All its recent deliveries, decayed. */
  recent: number;
  /** Deliveries in mixed batches that its share has not paid for yet. */
  unpaid: number;
  /** When both were true, in milliseconds. */
  at: number;
  chargedAt: number;
}

/**
 * Who floods. What a tenant makes within its share goes into the batches that all tenants share; what exceeds it goes
 * into batches behind those, which it shares only with tenants that flood like it. It counts deliveries and not events or jobs, in the memory of this process only:
 * a counter in Redis would have to be taken back by workers that may have died.
 *
 * Times are milliseconds of any clock that does not run backwards.
 */
export class TenantShares {
  readonly #tenants = new Map<string, Tenant>();
  /** Recent deliveries in mixed batches, decayed. */
  #mixed = 0;
  #mixedAt = 0;

  /** How many tenants are remembered: those with deliveries in the last minute or so. */
  get size(): number {
    return this.#tenants.size;
  }

  /**
   * The BullMQ priority of what a tenant makes now: 0 within its share, else one more for each doubling of what it has
   * made recently, so that of two floods the larger one is behind the smaller, and any number of like ones fill batches
   * together. BullMQ takes lower numbers first, and 0 before all.
   */
  priorityOf(name: string, now: number): number {
    const tenant = this.#tenants.get(name);
    if (!tenant) return 0;
    const share = this.#shareAt(now);
    settle(tenant, share, now);
    if (tenant.unpaid <= BURST_S * share) return 0;
    const doublings = Math.floor(Math.log2(Math.max(1, tenant.recent / LEAST_RECENT)));
    return Math.min(MAX_PRIORITY, LEAST_PRIORITY + doublings);
  }

  /** @param isBehind whether they went into batches of the tenant's own, which cost its share nothing */
  charge(name: string, deliveries: number, isBehind: boolean, now: number): void {
    if (deliveries === 0) return;
    if (!isBehind) {
      this.#mixed = this.#mixedNow(now) + deliveries;
      this.#mixedAt = now;
    }
    const tenant = this.#tenants.get(name) ?? { recent: 0, unpaid: 0, at: now, chargedAt: now };
    settle(tenant, this.#shareAt(now), now);
    tenant.recent += deliveries;
    tenant.chargedAt = now;
    if (!isBehind) tenant.unpaid += deliveries;
    // At the end of the map, where those are who were busy last.
    this.#tenants.delete(name);
    this.#tenants.set(name, tenant);
    this.#forgetIdle(now);
  }

  #shareAt(now: number): number {
    return Math.max(LEAST_SHARE, (SHARE * this.#mixedNow(now)) / MEMORY_S);
  }

  #mixedNow(now: number): number {
    return this.#mixed * decay(now - this.#mixedAt);
  }

  /** A few at a time: those that were charged longest ago, and owe nothing. */
  #forgetIdle(now: number): void {
    for (const [name, { chargedAt }] of this.#tenants) {
      if (now - chargedAt < IDLE_MS) return;
      this.#tenants.delete(name);
    }
  }
}

/** After this nothing of a tenant is left to remember. */
const IDLE_MS = 6 * MEMORY_S * 1_000;

function settle(tenant: Tenant, share: number, now: number): void {
  const passedMs = Math.max(0, now - tenant.at);
  tenant.recent *= decay(passedMs);
  tenant.unpaid = Math.max(0, tenant.unpaid - (share * passedMs) / 1_000);
  tenant.at = now;
}

const decay = (passedMs: number): number => Math.exp(-Math.max(0, passedMs) / 1_000 / MEMORY_S);
