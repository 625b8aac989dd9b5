import { z } from "zod";
import { endOf, isObject, scanObject } from "../http/json-scan.ts";
import { RawJson } from "../http/raw-json.ts";

const MAX_HEADERS = 20;

/** Headers that Postrider or the connection sets. */
const RESERVED = new Set([
  "accept-encoding",
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "expect",
  "host",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "user-agent",
]);

/**
 * Header names and values. It reads the JSON itself: in an object, a repeated name and `__proto__` would be lost before
 * anything can refuse them.
 */
export const headers = z
  .custom<RawJson>((value) => value instanceof RawJson)
  .transform(({ json }, issues): Record<string, string> => {
    const entries = entriesOf(json);
    if (typeof entries === "string") {
      issues.addIssue(entries);
      return z.NEVER;
    }
    const spellings = new Map<string, string>();
    for (const [name, value] of entries) {
      const lowerCase = name.toLowerCase();
      const other = spellings.get(lowerCase);
      const problem = problemOfName(name, other) ?? problemOfValue(value);
      if (problem !== undefined) issues.issues.push({ code: "custom", message: problem, path: [name], input: null });
      spellings.set(lowerCase, name);
    }
    return Object.fromEntries(entries) as Record<string, string>;
  });

/** @returns the members in order, or what is wrong with all of them */
function entriesOf(json: Buffer): [name: string, value: unknown][] | string {
  if (!isObject(json, 0)) return "must be an object of header names and values";
  const spans: [name: string, from: number, to: number][] = [];
  scanObject(json, 0, (name, from) => {
    const to = endOf(json, from, Number.POSITIVE_INFINITY);
    // All are counted, and the values of more than may be are not parsed.
    if (spans.length <= MAX_HEADERS) spans.push([name, from, to]);
    return to;
  });
  if (spans.length > MAX_HEADERS) return `must have at most ${MAX_HEADERS} entries`;
  return spans.map(([name, from, to]) => [name, JSON.parse(json.toString("utf8", from, to))]);
}

function problemOfName(name: string, other: string | undefined): string | undefined {
  const lowerCase = name.toLowerCase();
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/.test(name) || name === "__proto__") return "is not a header name";
  if (RESERVED.has(lowerCase) || lowerCase.startsWith("webhook-")) return "is set by Postrider and cannot be changed";
  if (other === name) return "is there twice";
  if (other !== undefined) return `is the same header as ${other}: names do not differ by case`;
  return undefined;
}

function problemOfValue(value: unknown): string | undefined {
  if (typeof value !== "string") return "must be a string";
  if (!/^[\t\x20-\x7e\xa0-\xff]{0,2000}$/.test(value)) return "must be printable and at most 2000 characters";
  // A receiver cuts it off.
  if (value.trim() !== value) return "must not begin or end with white space";
  return undefined;
}
