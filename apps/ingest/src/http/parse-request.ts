import { isUtf8 } from "node:buffer";
import type { Request } from "express";
import type { z } from "zod";
import { parseExactly } from "@postrider/shared/core/exact-json.ts";
import { fromPublicId, type IdPrefix } from "@postrider/shared/core/ids/id.ts";
import { fieldErrors, invalid, Problem } from "./problem.ts";
import { skipSpace } from "../events/json-scan.ts";
import { bytesOf } from "./request-body.ts";

/** Parses the body by a schema; an absent body counts as `{}`. No number loses digits. */
export const body = <Schema extends z.ZodType>(request: Request, schema: Schema): z.output<Schema> =>
  bodyAsSent(request, (json) => parseExactly(json.toString()), schema);

/**
 * The same for who takes its large part as it was sent.
 *
 * @param parse is given valid UTF-8, which is not blank
 */
export function bodyAsSent<Schema extends z.ZodType>(
  request: Request,
  parse: (json: Buffer) => unknown,
  schema: Schema,
): z.output<Schema> {
  const sent = bytesOf(request);
  // What is no UTF-8 becomes U+FFFD, as in any text that is decoded.
  const json = isUtf8(sent) ? sent : Buffer.from(sent.toString());
  const isBlank = skipSpace(json, 0) === json.length;
  return check(schema, isBlank ? {} : parsed(json, parse));
}

function parsed(json: Buffer, parse: (json: Buffer) => unknown): unknown {
  try {
    return parse(json);
  } catch (error) {
    throw new Problem("invalid_json", whyNot(json) ?? String(error));
  }
}

/** What JSON.parse says is wrong with it, which is more than that something is. */
function whyNot(json: Buffer): string | undefined {
  try {
    JSON.parse(json.toString());
    return undefined;
  } catch (error) {
    return (error as Error).message;
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
