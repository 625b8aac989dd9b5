import { z } from "zod";
import { parseExact } from "../http/exact-json.ts";
import { RawJson } from "../http/raw-json.ts";

const MAX_CHARS = 16 * 1024;
const OPEN_OBJECT = "{".charCodeAt(0);

/** A JSON object. It is refused where any value in it would not be stored and shown as it was sent. */
export const metadata = z
  .custom<RawJson>((value) => value instanceof RawJson)
  .transform(({ json }, issues): Record<string, unknown> => {
    const refuse = (message: string) => {
      issues.addIssue(message);
      return z.NEVER;
    };
    if (json[0] !== OPEN_OBJECT) return refuse("must be an object");
    const { value, problem } = parseExact(json.toString());
    if (problem !== undefined) return refuse(problem);
    const stored = JSON.stringify(value);
    if (stored.length > MAX_CHARS) return refuse(`must be at most ${MAX_CHARS} characters of JSON`);
    if (!isStorable(stored)) return refuse("must not contain NUL characters or unpaired surrogates");
    return value as Record<string, unknown>;
  });

/**
 * Postgres's jsonb holds neither. JSON.stringify() writes both as escapes (ECMAScript, QuoteJSONString), and nothing else
 * as such ones.
 */
const isStorable = (stored: string): boolean => !/(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/.test(stored);
