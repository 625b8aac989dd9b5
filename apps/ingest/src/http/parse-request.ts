import { isUtf8 } from "node:buffer";
import type { Request } from "express";
import { z } from "zod";
import { fromPublicId, type IdPrefix } from "@postrider/shared/core/ids/id.ts";
import { NotJson, skipSpace } from "./json-scan.ts";
import { fieldErrors, invalid, Problem } from "./problem.ts";
import { parseShape, type Shape } from "./raw-json.ts";
import { bytesOf } from "./request-body.ts";

/** The application setting for how many levels of lists and objects a field of a body may have. */
export const MAX_JSON_DEPTH = "max json depth";

/** The shape of a body without a member that has to be kept as it was sent. */
export const shapeOf = (schema: z.ZodObject): Shape => ({ members: new Set(Object.keys(schema.shape)) });

/**
 * Parses the body by a schema. An absent body counts as `{}`.
 *
 * @throws Problem invalid_json or invalid_request
 */
export function body<Schema extends z.ZodObject>(
  request: Request,
  schema: Schema,
  shape: Shape = shapeOf(schema),
): z.output<Schema> {
  const json = bytesOf(request);
  // A decoder would replace what is not UTF-8 in silence.
  if (!isUtf8(json)) throw new Problem("invalid_json", "the body is not UTF-8");
  return check(schema, isBlank(json) ? {} : parseOrRefuse(json, shape, request.app.get(MAX_JSON_DEPTH) as number));
}

/** Refuses a body of a call that takes none, but for `{}`. */
export const noBody = (request: Request): void => void body(request, NOTHING);

const NOTHING = z.strictObject({});

export const isBlank = (json: Buffer): boolean => skipSpace(json, 0) === json.length;

function parseOrRefuse(json: Buffer, shape: Shape, maxDepth: number): unknown {
  try {
    return parseShape(json, shape, maxDepth);
  } catch (error) {
    if (!(error instanceof NotJson)) throw error;
    throw new Problem("invalid_json", parserMessage(json) ?? error.message);
  }
}

/** Parsing a larger body only for its message could block the process. */
const MAX_EXPLAINED_BYTES = 64 * 1024;

/** JSON.parse's message, which says more than the scanner's. */
function parserMessage(json: Buffer): string | undefined {
  if (json.length > MAX_EXPLAINED_BYTES) return undefined;
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
