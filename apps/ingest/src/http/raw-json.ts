import { extentOf, isList, isObject, NotJson, scanList, scanObject, skipSpace } from "./json-scan.ts";

/** A JSON value as it was sent. */
export class RawJson {
  /** JSON text in UTF-8, without white space around it. */
  readonly json: Buffer;
  /** How deeply its lists and objects are nested. */
  readonly depth: number;

  constructor(json: Buffer, depth: number) {
    this.json = json;
    this.depth = depth;
  }
}

/**
 * Parses like JSON.parse, but keeps one member of the object as RawJson.
 *
 * @param json valid UTF-8
 * @param raw name of the member
 * @throws NotJson
 */
export const parseWithRaw = (json: Buffer, raw: string): unknown =>
  whole(json, (start) => objectWithRawAt(json, start, raw));

/** The same for each object in the list that is the member `list`. */
export const parseListWithRaw = (json: Buffer, list: string, raw: string): unknown =>
  whole(json, (start) =>
    objectAt(json, start, (name, at) => (name === list ? listAt(json, at, raw) : valueAt(json, at))),
  );

interface Parsed {
  value: unknown;
  end: number;
}

function whole(json: Buffer, parseAt: (start: number) => Parsed): unknown {
  const { value, end } = parseAt(skipSpace(json, 0));
  const rest = skipSpace(json, end);
  if (rest < json.length) throw new NotJson(rest);
  return value;
}

function listAt(json: Buffer, at: number, raw: string): Parsed {
  if (!isList(json, at)) return valueAt(json, at);
  const value: unknown[] = [];
  const end = scanList(json, at, (start) => {
    const element = objectWithRawAt(json, start, raw);
    value.push(element.value);
    return element.end;
  });
  return { value, end };
}

const objectWithRawAt = (json: Buffer, at: number, raw: string): Parsed =>
  objectAt(json, at, (name, start) => (name === raw ? rawAt(json, start) : valueAt(json, start)));

/** A value that is not an object is parsed as it is. */
function objectAt(json: Buffer, at: number, memberAt: (name: string, start: number) => Parsed): Parsed {
  if (!isObject(json, at)) return valueAt(json, at);
  const members: [name: string, value: unknown][] = [];
  const end = scanObject(json, at, (name, start) => {
    const member = memberAt(name, start);
    members.push([name, member.value]);
    return member.end;
  });
  // Like JSON.parse: the last of several members with one name counts, and `__proto__` is a member like any other.
  return { value: Object.fromEntries(members), end };
}

function rawAt(json: Buffer, at: number): Parsed {
  const { end, depth } = extentOf(json, at);
  return { value: new RawJson(json.subarray(at, end), depth), end };
}

function valueAt(json: Buffer, at: number): Parsed {
  const { end } = extentOf(json, at);
  return { value: JSON.parse(json.toString("utf8", at, end)), end };
}
