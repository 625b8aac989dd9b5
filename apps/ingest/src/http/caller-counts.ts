/** How many of some places each caller has. */
export class CallerCounts {
  readonly #byCaller = new Map<string, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  of(caller: string): number {
    return this.#byCaller.get(caller) ?? 0;
  }

  /** How many of `max` places the others leave. */
  leftFor(caller: string, max: number): number {
    return max - (this.#total - this.of(caller));
  }

  change(caller: string, by: 1 | -1): void {
    const count = this.of(caller) + by;
    if (count === 0) this.#byCaller.delete(caller);
    else this.#byCaller.set(caller, count);
    this.#total += by;
  }
}
