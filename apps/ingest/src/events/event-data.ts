import { extentOf, isList, isObject, NotJson, scanList, scanObject, skipSpace } from "./json-scan.ts";

/** The `data` of an event as it was sent. */
export class EventData {
  /** JSON text in UTF-8. */
  readonly json: Buffer;
  /** How many lists and objects are inside of each other. */
  readonly depth: number;

  constructor(json: Buffer, depth: number) {
    this.json = json;
    this.depth = depth;
  }
}

interface Parsed {
  value: unknown;
  end: number;
}

/**
 * What JSON.parse makes of the body of a single event, save that its `data` is EventData.
 *
 * @param json valid UTF-8
 * @throws NotJson
 */
export const parseEvent = (json: Buffer): unknown => whole(json, eventAt(json, skipSpace(json, 0)));

/** The same of the body of a batch, save that the `data` of each of its `events` is EventData. */
export function parseBatch(json: Buffer): unknown {
  const at = skipSpace(json, 0);
  return whole(
    json,
    objectAt(json, at, (name, start) => (name === "events" ? eventsAt(json, start) : valueAt(json, start))),
  );
}

function whole(json: Buffer, { value, end }: Parsed): unknown {
  const rest = skipSpace(json, end);
  if (rest < json.length) throw new NotJson(rest);
  return value;
}

function eventsAt(json: Buffer, at: number): Parsed {
  if (!isList(json, at)) return valueAt(json, at);
  const value: unknown[] = [];
  const end = scanList(json, at, (start) => {
    const event = eventAt(json, start);
    value.push(event.value);
    return event.end;
  });
  return { value, end };
}

const eventAt = (json: Buffer, at: number): Parsed =>
  objectAt(json, at, (name, start) => (name === "data" ? dataAt(json, start) : valueAt(json, start)));

/** Any other value is made as it is. */
function objectAt(json: Buffer, at: number, memberAt: (name: string, start: number) => Parsed): Parsed {
  if (!isObject(json, at)) return valueAt(json, at);
  const members: [name: string, value: unknown][] = [];
  const end = scanObject(json, at, (name, start) => {
    const member = memberAt(name, start);
    members.push([name, member.value]);
    return member.end;
  });
  // As JSON.parse does it: of a member that is there twice the last one counts, and none is anybody's prototype.
  return { value: Object.fromEntries(members), end };
}

function dataAt(json: Buffer, at: number): Parsed {
  const { end, depth } = extentOf(json, at);
  return { value: new EventData(json.subarray(at, end), depth), end };
}

function valueAt(json: Buffer, at: number): Parsed {
  const { end } = extentOf(json, at);
  return { value: JSON.parse(json.toString("utf8", at, end)), end };
}
