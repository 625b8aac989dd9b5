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
    let problem: string | undefined;
    const checkText = (text: string) => {
      if (!isStorable(text)) problem = "must not contain NUL characters or unpaired surrogates";
    };
    const { value, problem: inexact } = parseExact(json.toString(), checkText);
    problem ??= inexact;
    if (problem !== undefined) return refuse(problem);
    if (JSON.stringify(value).length > MAX_CHARS) return refuse(`must be at most ${MAX_CHARS} characters of JSON`);
    return value as Record<string, unknown>;
  });

/** Postgres's jsonb holds neither. */
const isStorable = (text: string): boolean => !text.includes("\0") && text.isWellFormed();
