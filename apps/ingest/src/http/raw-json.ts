import { parseExact } from "./exact-json.ts";
import { endOf, isList, isObject, isString, NotJson, scanList, scanObject, skipSpace, TooDeep } from "./json-scan.ts";
import { invalid, MAX_FIELD_ERRORS, type FieldError } from "./problem.ts";

/** A JSON value as it was sent. */
export class RawJson {
  /** JSON text in UTF-8, without white space around it. */
  readonly json: Buffer;

  constructor(json: Buffer) {
    this.json = json;
  }
}

/** The members of an object that are read. All others are refused by the schema, so their values are not parsed. */
export interface Shape {
  members: ReadonlySet<string>;
  /** The members that are kept as RawJson. */
  raw?: ReadonlySet<string>;
  /** Whether all others are strings. Anything else in their place is not parsed, because the schema refuses it. */
  hasOnlyStrings?: boolean;
  /** The member that is a list of objects. */
  list?: { name: string; max: number; of: Shape };
}

/** How many unknown and repeated members a body may have until the rest of it is not read. */
const MAX_SURPLUS = 100;

/**
 * Parses like JSON.parse, but only the members that the shape has. It stops where the body can only be refused, so that
 * a body costs no more than its bytes, whatever it has.
 *
 * @param json valid UTF-8
 * @param maxDepth of lists and objects in the value of a field
 * @throws NotJson, or Problem invalid_request
 */
export function parseShape(json: Buffer, shape: Shape, maxDepth: number): unknown {
  const parser = new Parser(json, maxDepth);
  try {
    const { value, end } = parser.objectAt(skipSpace(json, 0), shape);
    const rest = skipSpace(json, end);
    if (rest < json.length) throw new NotJson(rest);
    return value;
  } catch (error) {
    if (!(error instanceof TooDeep)) throw error;
    throw invalid({ field: parser.field, message: `is nested too deeply: at most ${maxDepth} levels` });
  }
}

interface Parsed {
  value: unknown;
  end: number;
}

class Parser {
  readonly #json: Buffer;
  readonly #maxDepth: number;
  /** The list that is read, and which of its elements. */
  #list: string | undefined;
  #index = 0;
  #member = "";
  #surplus = 0;
  readonly #errors: FieldError[] = [];

  constructor(json: Buffer, maxDepth: number) {
    this.#json = json;
    this.#maxDepth = maxDepth;
  }

  /** The field that is read. */
  get field(): string {
    const path = this.#list === undefined ? [this.#member] : [this.#list, this.#index, this.#member];
    return path.filter((part) => part !== "").join(".") || "body";
  }

  /** A value that is not an object is left to the schema. */
  objectAt(at: number, shape: Shape): Parsed {
    if (!isObject(this.#json, at)) return this.#stringAt(at);
    const members: [name: string, value: unknown][] = [];
    let known = 0;
    const end = scanObject(this.#json, at, (name, start) => {
      this.#member = name;
      if (!shape.members.has(name)) {
        this.#countSurplus("is not a known field");
        members.push([name, null]);
        return this.#endOf(start);
      }
      known += 1;
      if (known > shape.members.size) this.#countSurplus("is repeated");
      const member = this.#memberAt(name, start, shape);
      members.push([name, member.value]);
      return member.end;
    });
    // Like JSON.parse: the last of several members with one name counts, and `__proto__` is a member like any other.
    return { value: Object.fromEntries(members), end };
  }

  #memberAt(name: string, at: number, { raw, list, hasOnlyStrings }: Shape): Parsed {
    if (raw?.has(name) === true) {
      const end = this.#endOf(at);
      return { value: new RawJson(this.#json.subarray(at, end)), end };
    }
    if (name === list?.name && isList(this.#json, at)) return this.#listAt(at, list);
    return hasOnlyStrings === true ? this.#stringAt(at) : this.#valueAt(at);
  }

  #listAt(at: number, { name, max, of }: NonNullable<Shape["list"]>): Parsed {
    const value: unknown[] = [];
    const end = scanList(this.#json, at, (start) => {
      if (value.length === max) throw invalid({ field: name, message: `must have at most ${max} entries` });
      this.#list = name;
      this.#index = value.length;
      this.#member = "";
      const element = this.objectAt(start, of);
      value.push(element.value);
      return element.end;
    });
    this.#list = undefined;
    return { value, end };
  }

  #valueAt(at: number): Parsed {
    const end = this.#endOf(at);
    const { value, problem } = parseExact(this.#json.toString("utf8", at, end));
    if (problem !== undefined) throw invalid({ field: this.field, message: problem });
    return { value, end };
  }

  /** Anything else counts as null. */
  #stringAt(at: number): Parsed {
    const end = this.#endOf(at);
    return { value: isString(this.#json, at) ? JSON.parse(this.#json.toString("utf8", at, end)) : null, end };
  }

  #endOf(at: number): number {
    return endOf(this.#json, at, this.#maxDepth);
  }

  #countSurplus(message: string): void {
    this.#surplus += 1;
    if (this.#errors.length < MAX_FIELD_ERRORS) this.#errors.push({ field: this.field, message });
    if (this.#surplus >= MAX_SURPLUS) throw invalid(...this.#errors);
  }
}
