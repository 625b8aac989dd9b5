/** What an item that waits for its flush takes. */
export interface Weight {
  rows: number;
  bytes: number;
}

interface Entry extends Weight {
  /** Undefined where owners do not matter. */
  owner: string | undefined;
  /** Set when the item is added: items of a lower turn go first. */
  turn: number;
}

/** Items in the order in which they came, or in turns of their owners, with their sums. */
export class WaitingItems<Item extends Entry> {
  readonly #inTurns: boolean;
  #items: Item[] = [];
  #rows = 0;
  #bytes = 0;
  readonly #byOwner = new Map<string, Weight & { lastTurn: number }>();
  /** The turn of the last item that was removed. */
  #turn = 0;

  constructor({ inTurns }: { inTurns: boolean }) {
    this.#inTurns = inTurns;
  }

  get rows(): number {
    return this.#rows;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get first(): Item | undefined {
    return this.#items[0];
  }

  /** Whether an item exceeds the limit. An item that would be alone never does. */
  isFullFor(item: Weight, limit: Weight): boolean {
    return this.#items.length > 0 && exceeds(this, item, limit);
  }

  /** The same for the items of its owner. */
  isFullForOwner(item: Entry, limit: Weight): boolean {
    const own = this.#byOwner.get(item.owner ?? "");
    return own !== undefined && exceeds(own, item, limit);
  }

  /** Whether an item of the same owner waits. */
  hasOwnerOf({ owner }: Pick<Entry, "owner">): boolean {
    return this.#byOwner.has(owner ?? "");
  }

  /** In turns (start-time fair queueing): behind the owner's own items, and not behind all of another's. */
  add(item: Item): void {
    const lastTurn = this.#byOwner.get(item.owner ?? "")?.lastTurn ?? 0;
    item.turn = this.#inTurns ? Math.max(this.#turn, lastTurn) + 1 : 0;
    this.#items.splice(this.#items.findLastIndex(({ turn }) => turn <= item.turn) + 1, 0, item);
    this.#count(item, 1);
  }

  /** Goes through the items in order. "stop" leaves the item and all later ones. */
  remove(choose: (item: Item) => "remove" | "leave" | "stop"): void {
    const left: Item[] = [];
    let next = 0;
    for (; next < this.#items.length; next += 1) {
      const item = this.#items[next]!;
      const choice = choose(item);
      if (choice === "stop") break;
      if (choice === "leave") left.push(item);
      else {
        this.#count(item, -1);
        this.#turn = item.turn;
      }
    }
    this.#items = left.concat(this.#items.slice(next));
  }

  #count({ rows, bytes, owner, turn }: Item, sign: 1 | -1): void {
    this.#rows += sign * rows;
    this.#bytes += sign * bytes;
    if (owner === undefined) return;
    const own = this.#byOwner.get(owner) ?? { rows: 0, bytes: 0, lastTurn: 0 };
    own.rows += sign * rows;
    own.bytes += sign * bytes;
    own.lastTurn = Math.max(own.lastTurn, turn);
    if (own.rows > 0) this.#byOwner.set(owner, own);
    else this.#byOwner.delete(owner);
  }
}

/** Whether what is there and an item together are more than the limit. */
export const exceeds = (sum: Weight, item: Weight, limit: Weight): boolean =>
  sum.rows + item.rows > limit.rows || sum.bytes + item.bytes > limit.bytes;
