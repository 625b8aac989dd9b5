/** What is known of a name from its last look-up. */
export type Rank = "failed" | "new" | "known";

export const RANKS: readonly Rank[] = ["failed", "new", "known"];
/**
 * How many look-ups of a rank or of the ranks before it may be under way, for one tenant and for all. Names that failed
 * last time leave places to new ones, and both leave some to names that are known to resolve. A forwarder such as
 * dnsmasq has 150 open queries by default, and a look-up is two.
 */
const MAX_PER_TENANT: Places = { failed: 16, new: 48, known: 64 };
const MAX: Places = { failed: 64, new: 192, known: 256 };

type Places = Record<Rank, number>;

/** The places of look-ups, so that no tenant's names that are never answered keep those of others from being looked up. */
export class LookupPlaces {
  readonly #all: Places = { failed: 0, new: 0, known: 0 };
  readonly #byTenant = new Map<string, Places>();

  get used(): number {
    return this.#all.known;
  }

  acquire(tenant: string, rank: Rank): boolean {
    const own = this.#byTenant.get(tenant) ?? { failed: 0, new: 0, known: 0 };
    const ranks = RANKS.slice(RANKS.indexOf(rank));
    if (ranks.some((each) => own[each] >= MAX_PER_TENANT[each] || this.#all[each] >= MAX[each])) return false;
    this.#byTenant.set(tenant, own);
    this.#count(own, ranks, 1);
    return true;
  }

  release(tenant: string, rank: Rank): void {
    const own = this.#byTenant.get(tenant)!;
    this.#count(own, RANKS.slice(RANKS.indexOf(rank)), -1);
    if (own.known === 0) this.#byTenant.delete(tenant);
  }

  #count(own: Places, ranks: readonly Rank[], by: 1 | -1): void {
    for (const rank of ranks) {
      own[rank] += by;
      this.#all[rank] += by;
    }
  }
}
