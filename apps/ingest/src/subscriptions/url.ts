import { text } from "../http/fields.ts";

const MAX_CHARS = 2048;
/**
 * Control and format characters, such as the marks of a text's direction. A URL parser drops some and encodes
 * others, so the URL would be another one than it looks.
 */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/** A subscriber's URL, in the spelling of the URL standard (`URL.href`). */
export const url = text(1, MAX_CHARS).transform((value, issues): string => {
  const problem = INVISIBLE.test(value) ? "must not contain control or invisible characters" : problemOf(value);
  if (problem !== undefined) issues.addIssue(problem);
  return URL.parse(value)?.href ?? value;
});

function problemOf(value: string): string | undefined {
  const parsed = URL.parse(value);
  if (!parsed || !["http:", "https:"].includes(parsed.protocol)) return "must be an http or https URL";
  if (parsed.username !== "" || parsed.password !== "") {
    return "must not carry a user name or password: use headers for that";
  }
  if (parsed.hash !== "" || value.includes("#")) return "must not have a fragment (#…)";
  if (parsed.href.length > MAX_CHARS) return `must have at most ${MAX_CHARS} characters when it is percent-encoded`;
  return undefined;
}
