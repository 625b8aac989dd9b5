/** What an item that waits for its flush takes. */
export interface Weight {
  rows: number;
  bytes: number;
}

interface Entry extends Weight {
  /** Undefined where owners do not matter. */
  owner: string | undefined;
}

/** Items in the order in which they came, with their sums. */
export class WaitingItems<Item extends Entry> {
  #items: Item[] = [];
  #rows = 0;
  #bytes = 0;
  readonly #byOwner = new Map<string, Weight>();

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

  add(item: Item): void {
    this.#items.push(item);
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
      else this.#count(item, -1);
    }
    this.#items = left.concat(this.#items.slice(next));
  }

  #count({ rows, bytes, owner }: Item, sign: 1 | -1): void {
    this.#rows += sign * rows;
    this.#bytes += sign * bytes;
    if (owner === undefined) return;
    const own = this.#byOwner.get(owner) ?? { rows: 0, bytes: 0 };
    own.rows += sign * rows;
    own.bytes += sign * bytes;
    if (own.rows > 0) this.#byOwner.set(owner, own);
    else this.#byOwner.delete(owner);
  }
}

/** Whether what is there and an item together are more than the limit. */
export const exceeds = (sum: Weight, item: Weight, limit: Weight): boolean =>
  sum.rows + item.rows > limit.rows || sum.bytes + item.bytes > limit.bytes;
