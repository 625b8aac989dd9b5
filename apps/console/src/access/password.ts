import { createHash, timingSafeEqual } from "node:crypto";

/** There is one account. It names the person in the log and keeps password managers happy. */
export const USER = "operator";

/** @returns a comparison that takes equally long wherever the given password differs: both sides are hashed to 32 bytes */
export function createPasswordCheck(password: string): (given: string) => boolean {
  const expected = sha256(password);
  return (given) => timingSafeEqual(sha256(given), expected);
}

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest();
