import { FLOOD, MAX_PRIORITY } from "@postrider/shared/core/ids/batch-id.ts";

/** Counts decay exponentially with this time constant, in seconds. */
const MEMORY_S = 10;
/**
 * A tenant's share of the recent deliveries in mixed batches. It is not a share of all deliveries, or several floods
 * together would fill the mixed batches.
 */
const SHARE = 1 / 8;
/** Deliveries per second that every tenant may make, however idle the others are. */
const MIN_SHARE = 100;
/** A tenant may exceed its share by this many seconds of it. */
const BURST_S = 2;
/** The recent deliveries from which on each doubling lowers a tenant's precedence. */
const MIN_RECENT = 100;

interface Tenant {
  /** All recent deliveries of the tenant, decayed. */
  recent: number;
  /** Deliveries in mixed batches that its share has not covered yet. */
  unpaid: number;
  /** When both were computed, in milliseconds. */
  at: number;
  chargedAt: number;
}

/**
 * Detects tenants that flood with many small flushes; the statement that stores a flush detects a large one
 * (store/sql/accept.ts). Deliveries within a tenant's share go into mixed batches, which all tenants share. The
 * excess goes into batches of a later priority, shared only with tenants that flood as much.
 *
 * Counts are deliveries, kept in this process's memory: a counter in Redis would have to be decremented by workers that
 * may have died. Times are milliseconds of a monotonic clock.
 */
export class TenantShares {
  readonly #tenants = new Map<string, Tenant>();
  /** Recent deliveries in mixed batches, decayed. */
  #mixed = 0;
  #mixedAt = 0;

  /** How many tenants are tracked: roughly those with deliveries in the last minute. */
  get size(): number {
    return this.#tenants.size;
  }

  /**
   * The BullMQ priority of a tenant's next deliveries: 0 within its share, else one more for each doubling of its
   * recent deliveries. So a larger flood comes after a smaller one, and floods of one size share batches. BullMQ takes
   * 0 first, then lower numbers before higher ones.
   */
  priorityOf(name: string, now: number): number {
    const tenant = this.#tenants.get(name);
    if (!tenant) return 0;
    const share = this.#shareAt(now);
    settle(tenant, share, now);
    if (tenant.unpaid <= BURST_S * share) return 0;
    const doublings = Math.floor(Math.log2(Math.max(1, tenant.recent / MIN_RECENT)));
    return Math.min(MAX_PRIORITY, FLOOD + doublings);
  }

  /** @param mixed how many of them went into mixed batches; its share doesn't cover the others */
  charge(name: string, deliveries: number, mixed: number, now: number): void {
    if (deliveries === 0) return;
    this.#mixed = this.#mixedNow(now) + mixed;
    this.#mixedAt = now;
    const tenant = this.#tenants.get(name) ?? { recent: 0, unpaid: 0, at: now, chargedAt: now };
    settle(tenant, this.#shareAt(now), now);
    tenant.recent += deliveries;
    tenant.chargedAt = now;
    tenant.unpaid += mixed;
    // Keeps the map in order of the last charge, for #forgetIdle.
    this.#tenants.delete(name);
    this.#tenants.set(name, tenant);
    this.#forgetIdle(now);
  }

  #shareAt(now: number): number {
    return Math.max(MIN_SHARE, (SHARE * this.#mixedNow(now)) / MEMORY_S);
  }

  #mixedNow(now: number): number {
    return this.#mixed * decay(now - this.#mixedAt);
  }

  /** The map is in order of the last charge, so the loop ends at the first tenant that is not idle. */
  #forgetIdle(now: number): void {
    for (const [name, { chargedAt }] of this.#tenants) {
      if (now - chargedAt < IDLE_MS) return;
      this.#tenants.delete(name);
    }
  }
}

/** After this time without a charge all counts of a tenant have decayed to nothing. */
const IDLE_MS = 6 * MEMORY_S * 1_000;

function settle(tenant: Tenant, share: number, now: number): void {
  const passedMs = Math.max(0, now - tenant.at);
  tenant.recent *= decay(passedMs);
  tenant.unpaid = Math.max(0, tenant.unpaid - (share * passedMs) / 1_000);
  tenant.at = now;
}

const decay = (passedMs: number): number => Math.exp(-Math.max(0, passedMs) / 1_000 / MEMORY_S);
