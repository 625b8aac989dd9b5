import { isAscii, isUtf8 } from "node:buffer";
import express, { type Request, type RequestHandler } from "express";
import type { z } from "zod";
import { parseExactly } from "@postrider/shared/core/exact-json.ts";
import { fromPublicId, type IdPrefix } from "@postrider/shared/ids.ts";
import { fieldErrors, invalid, Problem } from "../problem.ts";

/** Takes the body as bytes, up to `limit`; `body()` parses it. A body of another media type is refused. */
export function rawBody(limit: number): RequestHandler {
  const read = express.raw({ type: "application/json", limit });
  return (request, response, next) => {
    const hasBody = request.headers["transfer-encoding"] !== undefined || Number(request.headers["content-length"]) > 0;
    if (hasBody && !request.is("application/json")) {
      throw new Problem("unsupported_media_type", "send the header Content-Type: application/json");
    }
    read(request, response, next);
  };
}

/** Parses the body by a schema; an absent body counts as `{}`. No number loses digits. */
export const body = <Schema extends z.ZodType>(request: Request, schema: Schema): z.output<Schema> =>
  check(schema, parsed(bytesOf(request).toString("utf8"), parseExactly));

/** The same for who takes its large part as it was sent: what is parsed rounds numbers that a double cannot hold. */
export function bodyAsSent<Schema extends z.ZodType>(request: Request, schema: Schema) {
  const bytes = bytesOf(request);
  // ASCII is the same in both, and Latin-1 is read in a third of the time.
  const text = bytes.toString(isAscii(bytes) ? "latin1" : "utf8");
  const input = check(schema, parsed(text, JSON.parse));
  // What is no UTF-8 has become U+FFFD in the text, and so it does in the bytes.
  return { input, json: { bytes: isUtf8(bytes) ? bytes : Buffer.from(text), text } };
}

const bytesOf = ({ body }: Request): Buffer => (Buffer.isBuffer(body) ? body : Buffer.alloc(0));

function parsed(text: string, parse: (text: string) => unknown): unknown {
  try {
    return text.trim() === "" ? {} : parse(text);
  } catch (error) {
    throw new Problem("invalid_json", error instanceof Error ? error.message : "the body is not JSON");
  }
}

/** Parses the query string by a schema: a parameter given twice, or one that is unknown, is refused. */
export const query = <Schema extends z.ZodType>(request: Request, schema: Schema): z.output<Schema> =>
  check(schema, request.query);

function check<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalid(...fieldErrors(parsed.error));
  return parsed.data;
}

/** The id in the path, as Postgres knows it. An id that cannot be one is as unknown as one that is not there. */
export function pathId(request: Request, prefix: IdPrefix): string {
  const given = String(request.params["id"]);
  const uuid = fromPublicId(prefix, given);
  if (uuid === undefined) throw new Problem("not_found", `there is no ${given.slice(0, 100)}`);
  return uuid;
}
