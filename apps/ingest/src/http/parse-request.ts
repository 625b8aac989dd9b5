import { isUtf8 } from "node:buffer";
import type { Request } from "express";
import type { z } from "zod";
import { fromPublicId, type IdPrefix } from "@postrider/shared/core/ids/id.ts";
import { skipSpace } from "./json-scan.ts";
import { fieldErrors, invalid, Problem } from "./problem.ts";
import { bytesOf } from "./request-body.ts";

type Parse = (json: Buffer) => unknown;

/**
 * Parses the body by a schema. An absent body counts as `{}`.
 *
 * @param parse receives valid UTF-8 that is not blank
 * @throws Problem invalid_json or invalid_request
 */
export function body<Schema extends z.ZodType>(
  request: Request,
  schema: Schema,
  parse: Parse = (json) => JSON.parse(json.toString()),
): z.output<Schema> {
  const json = bytesOf(request);
  // A decoder would replace what is not UTF-8 in silence.
  if (!isUtf8(json)) throw new Problem("invalid_json", "the body is not UTF-8");
  const isBlank = skipSpace(json, 0) === json.length;
  return check(schema, isBlank ? {} : parseOrRefuse(json, parse));
}

function parseOrRefuse(json: Buffer, parse: Parse): unknown {
  try {
    return parse(json);
  } catch (error) {
    throw new Problem("invalid_json", parserMessage(json) ?? String(error));
  }
}

/** JSON.parse's message, which says more than the scanner's. */
function parserMessage(json: Buffer): string | undefined {
  try {
    JSON.parse(json.toString());
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Parses the query string by a schema. An unknown parameter, or one given twice, is refused. */
export const query = <Schema extends z.ZodType>(request: Request, schema: Schema): z.output<Schema> =>
  check(schema, request.query);

function check<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalid(...fieldErrors(parsed.error));
  return parsed.data;
}

/**
 * The id in the path, as a UUID.
 *
 * @throws Problem not_found also where the text can't be an id
 */
export function pathId(request: Request, prefix: IdPrefix): string {
  const given = String(request.params["id"]);
  const uuid = fromPublicId(prefix, given);
  if (uuid === undefined) throw new Problem("not_found", `there is no ${given.slice(0, 100)}`);
  return uuid;
}
