/** Something that a run fails for. */
export interface Finding {
  /** What kind of failure: findings of one kind are counted together. */
  kind: string;
  detail: string;
  /** How to see it again. */
  replay: string;
}

export interface FoundKind {
  kind: string;
  count: number;
  /** The first ones. */
  examples: Finding[];
}

const EXAMPLES = 3;

/** All findings of a run, counted by their kind. */
export class Findings {
  readonly #kinds = new Map<string, FoundKind>();
  readonly #onNew: (finding: Finding) => void;
  readonly #stopped: AbortSignal;

  /** @param stopped after it nothing counts: Ctrl-C reaches the processes of the fleet, too */
  constructor(onNew: (finding: Finding) => void, stopped: AbortSignal) {
    this.#onNew = onNew;
    this.#stopped = stopped;
  }

  add(...findings: readonly Finding[]): void {
    if (this.#stopped.aborted) return;
    for (const finding of findings) {
      const found = this.#kinds.get(finding.kind) ?? { kind: finding.kind, count: 0, examples: [] };
      this.#kinds.set(finding.kind, found);
      found.count += 1;
      if (found.count === 1) this.#onNew(finding);
      if (found.examples.length < EXAMPLES) found.examples.push(finding);
    }
  }

  get all(): FoundKind[] {
    return [...this.#kinds.values()].sort((a, b) => b.count - a.count);
  }
}
