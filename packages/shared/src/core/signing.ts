import { createHmac, timingSafeEqual } from "node:crypto";

// Standard Webhooks, symmetric signatures:
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

const SECRET_PREFIX = "whsec_";
const VERSION = "v1";
const MIN_SECRET_BYTES = 24;
const MAX_SECRET_BYTES = 64;

/**
 * Parses a signing secret: `whsec_` followed by the base64 of 24 to 64 bytes.
 *
 * @returns the key, or a sentence that describes the error without repeating the secret
 */
export function parseSecret(text: string): Buffer | { problem: string } {
  const shape = {
    problem: `must be ${SECRET_PREFIX} followed by the base64 of ${MIN_SECRET_BYTES} to ${MAX_SECRET_BYTES} bytes`,
  };
  if (!text.startsWith(SECRET_PREFIX)) return shape;
  const encoded = text.slice(SECRET_PREFIX.length);
  const key = Buffer.from(encoded, "base64");
  // Buffer.from skips invalid characters, so the text is valid base64 only if encoding the key reproduces it.
  if (key.toString("base64") !== encoded) return shape;
  return key.length >= MIN_SECRET_BYTES && key.length <= MAX_SECRET_BYTES ? key : shape;
}

export const formatSecret = (key: Buffer): string => `${SECRET_PREFIX}${key.toString("base64")}`;

/**
 * The value of `webhook-signature`: one `v1,<base64 HMAC-SHA256 of "id.timestamp.body">` per key, separated by spaces,
 * so that a receiver needs only one of the secrets to verify.
 *
 * @param timestamp Unix seconds, as `webhook-timestamp` carries it
 */
export function sign(keys: readonly Buffer[], id: string, timestamp: number, body: string | Buffer): string {
  return keys.map((key) => `${VERSION},${mac(key, id, timestamp, body).toString("base64")}`).join(" ");
}

const mac = (key: Buffer, id: string, timestamp: number | string, body: string | Buffer): Buffer =>
  createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();

/** The headers that a receiver got; names may be in any case. */
export type WebhookHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * For receivers: whether a webhook is recent and was signed with one of the secrets. Every signature is compared with
 * every secret in constant time, also after a match.
 *
 * @param secrets `whsec_…`; several while one is being rotated
 * @param body the raw body, byte for byte
 * @param now Unix milliseconds
 * @param toleranceSeconds how old, or how far in the future, the webhook may be
 * @throws TypeError if a secret is malformed: the receiver's error, not the sender's
 */
export function verify(
  secrets: string | readonly string[],
  headers: WebhookHeaders,
  body: string | Buffer,
  now: number,
  toleranceSeconds = 300,
): boolean {
  const id = header(headers, "webhook-id");
  const timestampText = header(headers, "webhook-timestamp");
  const signatures = header(headers, "webhook-signature");
  if (id === undefined || timestampText === undefined || signatures === undefined) return false;
  if (!/^\d{1,12}$/.test(timestampText)) return false;
  const timestamp = Number(timestampText);
  // Negated, so that a NaN clock or tolerance is refused.
  if (!(Math.abs(now / 1000 - timestamp) <= toleranceSeconds)) return false;

  // Compared as text: decoding skips invalid characters, so many texts would equal one signature.
  const expected = [secrets]
    .flat()
    .map((secret) => Buffer.from(mac(keyOf(secret), id, timestampText, body).toString("base64")));
  let isGenuine = false;
  for (const signature of signatures.split(" ")) {
    const [version, encoded] = signature.split(",");
    if (version !== VERSION || encoded === undefined) continue;
    const given = Buffer.from(encoded);
    for (const candidate of expected) {
      if (given.length === candidate.length && timingSafeEqual(given, candidate)) isGenuine = true;
    }
  }
  return isGenuine;
}

function keyOf(secret: string): Buffer {
  const key = parseSecret(secret);
  if ("problem" in key) throw new TypeError(`the secret ${key.problem}`);
  return key;
}

function header(headers: WebhookHeaders, name: string): string | undefined {
  const key = Object.keys(headers).find((candidate) => candidate.toLowerCase() === name);
  const value = key === undefined ? undefined : headers[key];
  // A repeated header is joined. A repeated webhook-id then fails the signature.
  return typeof value === "object" ? value.join(" ") : value;
}
