import type { LimitName } from "./slot-pool.ts";
import { judge, NOTHING, SLOW_MS, type SubscriptionQueue, type Usage } from "./subscription-queue.ts";

/** The bound that applies to a subscription now. */
export interface Limit {
  /** Requests that it may have under way in this worker. */
  max: number;
  because: LimitName;
}

/** A subscription answers while its last answer is no older than this. */
const ANSWERING_MS = 10_000;
/** Of the slots, this part is left to subscriptions that answer. */
const RESERVE = 1 / 8;
/** Bytes of bodies that a tenant may have under way beside others: 16 of the largest, which take about 20 ms together. */
const MAX_TENANT_BYTES = 4 * 1024 * 1024;
/** A tenant is alone if no request of another one came for this long. */
const ALONE_AFTER_MS = 60_000;
/** Requests that may wait in memory for a share while their tenant is alone. */
const MAX_WAITING_ALONE = 500;

/** Whether the limit is a share of the slots, and not a limit of the subscription itself. */
export const isShare = (name: LimitName): boolean => name === "share" || name === "tenant_share";

const NO_SHARE: Limit = { max: Number.POSITIVE_INFINITY, because: "share" };

/**
 * The slots that unproven subscriptions use: those on trial and the slow ones, and probes. Together they have half of
 * the worker's slots, so that proven ones always find one, however many receivers hang.
 *
 * Of that half the first part is given to the first comers. The second is kept for subscriptions that answer, and a few
 * at a time for others: so few that it lasts until the first ones have timed out. A receiver that has not been tried
 * yet then waits for about a second, not for a timeout.
 */
export class Shares {
  readonly #maxSilent: number;
  readonly #half: number;
  readonly #openPart: number;
  readonly #tenantPart: number;
  /** Requests under way for less than a second that may begin in the second part. */
  readonly #maxYoung: number;
  readonly #queues = new Set<SubscriptionQueue>();
  readonly #byTenant = new Map<string, Usage>();
  #tenant: string | undefined;
  #otherTenantAt = Number.NEGATIVE_INFINITY;
  #used = 0;
  /** The slots of receivers that have not answered lately, and those of them that are not proven. */
  #silent = 0;
  #silentUnproven = 0;
  /** Of the latter, how many have been under way for more than a second, as counted last. */
  #old = 0;

  /**
   * @param size the worker's slots
   * @param timeoutMs the longest time that a request takes
   */
  constructor(size: number, timeoutMs: number) {
    this.#maxSilent = size - Math.floor(size * RESERVE);
    this.#half = Math.max(1, Math.floor(size / 2));
    this.#openPart = Math.max(1, Math.floor(this.#half / 2));
    this.#tenantPart = Math.max(1, Math.floor(this.#half / 4));
    this.#maxYoung = Math.max(1, Math.floor(((this.#half - this.#openPart) * SLOW_MS) / timeoutMs));
  }

  noteTenant(tenant: string, now: number): void {
    if (this.#tenant !== undefined && this.#tenant !== tenant) this.#otherTenantAt = now;
    this.#tenant = tenant;
  }

  /** Whether a share may hold deliveries: not while there is no other tenant to keep slots for and memory is left. */
  mayHold(waiting: number, now: number): boolean {
    return !this.#isAlone(now) || waiting > MAX_WAITING_ALONE;
  }

  /**
   * Whether a proven subscription leaves enough slots to the others. It may hang from one moment to the next, and that
   * shows only after a second. So it has no more slots than are free, its tenant no more than three times as many, and
   * subscriptions that have not answered lately leave an eighth of all slots to the others.
   */
  leavesEnough(queue: SubscriptionQueue, free: number, now: number): boolean {
    if (queue.underWay.size >= free || (this.#silent >= this.#maxSilent && !isAnswering(queue, now))) return false;
    return this.#isAlone(now) || (this.#byTenant.get(queue.tenant)?.slots ?? 0) < 3 * free;
  }

  /**
   * Whether a tenant has so many bytes under way that another request would delay those of others: each body takes
   * processor time, to be signed and written, in which this process does nothing else.
   */
  hasLargeBodies(tenant: string, now: number): boolean {
    return (this.#byTenant.get(tenant)?.bytes ?? 0) >= MAX_TENANT_BYTES && !this.#isAlone(now);
  }

  #isAlone(now: number): boolean {
    return now - this.#otherTenantAt >= ALONE_AFTER_MS;
  }

  /** Judges the queue again, after one of its requests has begun or ended, or some time has passed. */
  update(queue: SubscriptionQueue, now: number): void {
    queue.standing = judge(queue, now);
    const slots = queue.underWay.size + queue.reserved;
    const unproven = isUnproven(queue) ? slots : 0;
    const bytes = queue.standing === "slow" ? 0 : queue.bytes;
    const isSilent = !isAnswering(queue, now);
    const { counted } = queue;
    if (
      slots === counted.slots &&
      unproven === counted.unproven &&
      bytes === counted.bytes &&
      isSilent === counted.isSilent
    ) {
      return;
    }
    if (unproven > 0) this.#queues.add(queue);
    else this.#queues.delete(queue);
    queue.counted = { slots, unproven, bytes, isSilent };
    this.#count(queue.tenant, counted, queue.counted);
  }

  /** Counts again how many requests of silent receivers are under way for more than a second. */
  age(now: number): void {
    this.#old = 0;
    for (const { underWay, counted } of this.#queues) {
      if (!counted.isSilent) continue;
      for (const { startedAt } of underWay) {
        if (now - startedAt <= SLOW_MS) break;
        this.#old += 1;
      }
    }
  }

  /** What the shares leave for a subscription. @param hasOthers whether another tenant waits for a part of the half */
  limitOf(queue: SubscriptionQueue, hasOthers: boolean, now: number): Limit {
    if (!isUnproven(queue)) return NO_SHARE;
    const left = this.#left(isAnswering(queue, now));
    const isOver = hasOthers && this.isOverTenantPart(queue.tenant);
    return { max: queue.underWay.size + left, because: isOver ? "tenant_share" : "share" };
  }

  /** Whether only a few may begin at a time and this subscription, which does not answer, has to wait for its turn. */
  isExhaustedFor(queue: SubscriptionQueue, now: number): boolean {
    return this.isScarce && isUnproven(queue) && !isAnswering(queue, now);
  }

  isOverTenantPart(tenant: string): boolean {
    return (this.#byTenant.get(tenant)?.unproven ?? 0) >= this.#tenantPart;
  }

  /** Whether only a few unproven subscriptions may begin at a time. */
  get isScarce(): boolean {
    return this.#used >= this.#openPart;
  }

  #left(isAnswering: boolean): number {
    const left = Math.max(0, this.#half - this.#used);
    if (isAnswering) return left;
    if (this.isScarce) return Math.max(0, Math.min(left, this.#maxYoung - (this.#silentUnproven - this.#old)));
    return this.#openPart - this.#used;
  }

  #count(tenant: string, before: SubscriptionQueue["counted"], after: SubscriptionQueue["counted"]): void {
    this.#used += after.unproven - before.unproven;
    if (before.isSilent) this.#silent -= before.slots;
    if (after.isSilent) this.#silent += after.slots;
    if (before.isSilent) this.#silentUnproven -= before.unproven;
    if (after.isSilent) this.#silentUnproven += after.unproven;
    const used = this.#byTenant.get(tenant) ?? NOTHING;
    const slots = used.slots + after.slots - before.slots;
    const unproven = used.unproven + after.unproven - before.unproven;
    if (slots === 0) this.#byTenant.delete(tenant);
    else this.#byTenant.set(tenant, { slots, unproven, bytes: used.bytes + after.bytes - before.bytes });
  }
}

const isAnswering = ({ answeredAt }: SubscriptionQueue, now: number): boolean => now - answeredAt < ANSWERING_MS;

export const isUnproven = ({ standing, isProbe }: SubscriptionQueue): boolean => isProbe || standing !== "proven";
