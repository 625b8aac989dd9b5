import { randomBytes } from "node:crypto";
import type { Draw } from "./draw.ts";

/** Every credential begins with it, so that a log can be searched for all of them. */
const KEY = "fuzzkey_";
const PASSWORD = "fuzzpassword_";
/** Begins the base64 of every signing secret that a call sends. */
const SIGNING = "FUZZSECRET";
/** Begins the values of headers that carry credentials to a receiver. */
const HEADER = "fuzzcredential_";

const credential = (name: string) => `${KEY}${name}_${randomBytes(16).toString("hex")}`;

/** New in each run, because they are not part of what a seed gives. */
export const CREDENTIALS = {
  operator: credential("operator"),
  "read-only": credential("readonly"),
  "write-only": credential("writeonly"),
  "tenant-a": credential("tenant-a"),
  "tenant-b": credential("tenant-b"),
  expired: credential("expired"),
  unknown: credential("unknown"),
  console: `${PASSWORD}${randomBytes(16).toString("hex")}`,
} as const;

export const ENCRYPTION_KEY = randomBytes(32).toString("base64");

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

export const signingSecret = (draw: Draw): string => `whsec_${SIGNING}${draw.text(32 - SIGNING.length, BASE64)}`;

export const headerCredential = (draw: Draw): string => `${HEADER}${draw.text(12, "abcdefghijklmnop")}`;

/** Secrets that no log may show. */
export const IN_LOGS = new RegExp(
  [KEY, PASSWORD, SIGNING, HEADER, "whsec_[A-Za-z0-9+/]{20}", ENCRYPTION_KEY.replaceAll(/[+/=]/g, "\\$&")].join("|"),
  "g",
);

/** Secrets that no answer may show. Signing secrets are shown by the calls that give them out. */
export const IN_ANSWERS = new RegExp([KEY, PASSWORD, HEADER].join("|"));
export const SIGNING_IN_ANSWERS = new RegExp(`${SIGNING}|whsec_[A-Za-z0-9+/]{20}`);
