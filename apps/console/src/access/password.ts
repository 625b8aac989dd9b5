import { createHash, timingSafeEqual } from "node:crypto";

/** The only account. Its name is for the log and for password managers. */
export const USER = "operator";

/** @returns a comparison in constant time: both sides are hashed to 32 bytes */
export function createPasswordCheck(password: string): (given: string) => boolean {
  const expected = sha256(password);
  return (given) => timingSafeEqual(sha256(given), expected);
}

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest();
