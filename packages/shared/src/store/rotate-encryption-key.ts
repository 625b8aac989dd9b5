import { resealPass, type Pass, type ResealParts } from "./reseal.ts";
import { sealsHeaders } from "./schema-range.ts";

/** Rows that change while a pass looks at them are left to the next. */
const MAX_PASSES = 5;

export type Rotation =
  /** Nothing is sealed under an old key. */
  | { kind: "done"; resealed: number }
  | { kind: "interrupted"; resealed: number }
  /** The rest is under keys that are not in ENCRYPTION_KEY, or damaged. */
  | { kind: "lost"; resealed: number; last: Pass }
  /** There was something to seal again each time: a process seals with an old key, or keeps rows locked. */
  | { kind: "unfinished"; resealed: number; last: Pass };

/**
 * Seals everything again under the newest key, pass after pass until one finds nothing to do. It may be interrupted and
 * run again.
 */
export async function rotateEncryptionKey(parts: Omit<ResealParts, "sealsPlain">): Promise<Rotation> {
  const sealsPlain = await sealsHeaders(parts.db);
  let resealed = 0;
  for (let passes = 1; ; passes += 1) {
    const pass = await resealPass({ ...parts, sealsPlain });
    resealed += pass.resealed;
    if (parts.signal.aborted) return { kind: "interrupted", resealed };
    if (pass.old === 0) return { kind: "done", resealed };
    if (pass.old === pass.lost && pass.resealed === 0) return { kind: "lost", resealed, last: pass };
    if (passes === MAX_PASSES) return { kind: "unfinished", resealed, last: pass };
  }
}
