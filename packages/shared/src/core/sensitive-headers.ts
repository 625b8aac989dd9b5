/** What is shown in the place of a credential. */
export const MASK = "********";

const SENSITIVE_NAME = /auth|bearer|cookie|credential|hmac|jwt|key|pass|pwd|secret|session|signature|token/i;
/** An authentication scheme with credentials (RFC 9110, 11.4), or a JWT, under whatever name. */
const CREDENTIALS = /^(?:basic|bearer|digest|negotiate|token|apikey)\s+\S|^eyJ[\w-]+\.eyJ[\w-]+\./i;
/** Shorter ones are words that a text may have by chance. */
const MIN_HIDDEN_CHARS = 6;

/** Whether a header is a credential by its name. */
export const isSensitiveName = (name: string): boolean => SENSITIVE_NAME.test(name);

/** Whether a header is a credential by its name or its value. */
export const isSensitiveHeader = (name: string, value: string): boolean =>
  isSensitiveName(name) || CREDENTIALS.test(value);

/** Masks credentials of a request in a text that its receiver wrote: some receivers answer with what they were sent. */
export function maskCredentials(text: string, headers: Readonly<Record<string, string>>): string {
  let masked = text;
  for (const [name, value] of Object.entries(headers)) {
    if (!isSensitiveHeader(name, value)) continue;
    // With and without its scheme, and as a JSON text has it.
    for (const credential of new Set([value, value.replace(/^\S+\s+(?=\S+$)/, "")])) {
      if (credential.length < MIN_HIDDEN_CHARS) continue;
      masked = masked.replaceAll(credential, MASK).replaceAll(JSON.stringify(credential).slice(1, -1), MASK);
    }
  }
  return masked;
}
