import { MIN_ID } from "../core/ids/id-range.ts";
import { isTimeout } from "./errors.ts";
import type { Queryable } from "./pool.ts";
import type { Sealed } from "./schema/subscriptions.ts";
import { answerOwner, headerOwner, secretOwner } from "./seal-owners.ts";
import { mapHeaders } from "./sealed-headers.ts";
import type { SecretBox } from "./secret-box.ts";
import { countAnswerBlocks, listSealedAnswers } from "./sql/list-sealed-answers.ts";
import { listSealed } from "./sql/list-sealed.ts";
import { replaceAnswers } from "./sql/replace-answers.ts";
import { replaceSealed } from "./sql/replace-sealed.ts";

const PAGE = 200;
/** 8 MiB. */
const PAGE_BLOCKS = 1_024;

/** What a pass has done, in subscriptions and answers of idempotency keys. */
export interface Pass {
  checked: number;
  /** Had something under another key than the one that seals. */
  old: number;
  resealed: number;
  /** Have something that none of the keys opens. */
  lost: number;
  /** Names some of them. */
  lostExamples: string[];
}

export interface ResealParts {
  db: Queryable;
  box: SecretBox;
  /** Whether plain header values are sealed too. */
  sealsPlain: boolean;
  signal: AbortSignal;
  /** Called after each page. */
  onProgress: (pass: Readonly<Pass>) => void;
}

const MAX_EXAMPLES = 5;

/**
 * Seals everything again that is not sealed under the newest key. Each page is a statement of its own: an interrupted pass
 * leaves what it did, and a row that changes meanwhile is left to the next pass.
 */
export async function resealPass(parts: ResealParts): Promise<Pass> {
  const pass: Pass = { checked: 0, old: 0, resealed: 0, lost: 0, lostExamples: [] };
  await resealSubscriptions(parts, pass);
  await resealAnswers(parts, pass);
  return pass;
}

async function resealSubscriptions({ db, box, sealsPlain, signal, onProgress }: ResealParts, pass: Pass) {
  for (let after = MIN_ID; !signal.aborted;) {
    const rows = await listSealed(db, after, PAGE);
    const replaced = rows.flatMap((before) => {
      const one = new Resealing(box, sealsPlain);
      const { id } = before;
      const secrets = before.secrets.map((secret) => ({ ...secret, ...one.reseal(secret, secretOwner(id)) }));
      const headers = mapHeaders(before.headers, (name, value) => one.reseal(value, headerOwner(id, name)));
      return one.count(pass, `subscription ${id}`) ? [{ before, after: { secrets, headers } }] : [];
    });
    if (replaced.length > 0) pass.resealed += await unlessLocked(replaceSealed(db, replaced));
    onProgress(pass);
    if (rows.length < PAGE) return;
    after = rows.at(-1)!.id;
  }
}

async function resealAnswers({ db, box, signal, onProgress }: ResealParts, pass: Pass) {
  for (let from = 0; !signal.aborted && from < (await countAnswerBlocks(db)); from += PAGE_BLOCKS) {
    const rows = await listSealedAnswers(db, from, from + PAGE_BLOCKS);
    for (let first = 0; first < rows.length; first += PAGE) {
      const replaced = rows.slice(first, first + PAGE).flatMap((before) => {
        const one = new Resealing(box, false);
        const after = one.reseal(before.answer, answerOwner(before.tenant, before.key));
        return one.count(pass, `an answer of tenant ${before.tenant}`) ? [{ before, after }] : [];
      });
      if (replaced.length > 0) pass.resealed += await unlessLocked(replaceAnswers(db, replaced));
    }
    onProgress(pass);
  }
}

/** Another transaction keeps a row locked: the page is left to the next pass. */
const unlessLocked = (stored: Promise<number>): Promise<number> =>
  stored.catch((error: unknown) => {
    if (isTimeout(error)) return 0;
    throw error;
  });

/** One row. */
class Resealing {
  readonly #box: SecretBox;
  readonly #sealsPlain: boolean;
  #changed = 0;
  #lost = 0;

  constructor(box: SecretBox, sealsPlain: boolean) {
    this.#box = box;
    this.#sealsPlain = sealsPlain;
  }

  /** @returns the same value where it is sealed under the newest key, or no key opens it */
  reseal<T extends Sealed | string>(value: T, owner: string): T | Sealed {
    if (typeof value === "string") {
      if (!this.#sealsPlain) return value;
      this.#changed += 1;
      return this.#box.seal(Buffer.from(value), owner);
    }
    if (value.keyId === this.#box.keyId) return value;
    try {
      const sealed = this.#box.seal(this.#box.open(value, owner), owner);
      this.#changed += 1;
      return sealed;
    } catch {
      this.#lost += 1;
      return value;
    }
  }

  /** Adds the row to the pass. @returns whether it has changed */
  count(pass: Pass, name: string): boolean {
    pass.checked += 1;
    if (this.#changed + this.#lost > 0) pass.old += 1;
    if (this.#lost > 0) {
      pass.lost += 1;
      if (pass.lostExamples.length < MAX_EXAMPLES) pass.lostExamples.push(name);
    }
    return this.#changed > 0;
  }
}
