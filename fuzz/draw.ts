import { createHash } from "node:crypto";
import { Random } from "../chaos/random.ts";

/** Pseudo-random choices for one call or one answer. */
export class Draw extends Random {
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** Picks by weight. */
  weighted<T>(from: readonly (readonly [weight: number, value: T])[]): T {
    const sum = from.reduce((all, [weight]) => all + weight, 0);
    let left = this.next() * sum;
    for (const [weight, value] of from) {
      left -= weight;
      if (left < 0) return value;
    }
    return from.at(-1)![1];
  }

  /** Characters of an alphabet. */
  text(length: number, alphabet: string): string {
    return Array.from({ length }, () => alphabet[this.integer(0, alphabet.length - 1)]).join("");
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.integer(0, 255)));
  }
}

/** Each call and each answer has its own state, so that one of them can be made again without those before it. */
export function drawFor(seed: number, stream: "call" | "answer", number: number): Draw {
  const digest = createHash("sha256").update(`${seed} ${stream} ${number}`).digest();
  return new Draw(digest.readUInt32BE(0));
}
