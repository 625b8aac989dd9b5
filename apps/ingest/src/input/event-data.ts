import { isAscii } from "node:buffer";
import { extentOf, skipSpace, walkList, walkObject } from "./json-walk.ts";

/** A request's body as it was sent, and as text. */
export interface JsonBody {
  bytes: Buffer;
  text: string;
}

/** The `data` of an event as it was sent. */
export interface EventData {
  /** JSON text in UTF-8. */
  json: Buffer;
  /** How many lists and objects are inside of each other. */
  depth: number;
}

/** @param body of a single event, valid against the schema of one */
export function dataOfEvent({ bytes, text }: JsonBody): EventData {
  return readEvent(text, skipSpace(text, 0), cutterOf(bytes, text)).data!;
}

/** @param body of a batch, valid against the schema of one; one answer per event, in order */
export function dataOfBatch({ bytes, text }: JsonBody): EventData[] {
  const cut = cutterOf(bytes, text);
  let all: EventData[] = [];
  walkObject(text, skipSpace(text, 0), (name, at) => {
    if (name !== "events") return extentOf(text, at).end;
    // Of a member that is there twice JSON.parse takes the last one.
    all = [];
    return walkList(text, at, (start) => {
      const { data, end } = readEvent(text, start, cut);
      all.push(data!);
      return end;
    });
  });
  return all;
}

type Cut = (from: number, to: number) => Buffer;

/** Of ASCII the places in the text are those in the bytes, and nothing needs to be encoded again. */
const cutterOf = (bytes: Buffer, text: string): Cut =>
  isAscii(bytes) ? (from, to) => bytes.subarray(from, to) : (from, to) => Buffer.from(text.slice(from, to));

function readEvent(text: string, start: number, cut: Cut): { data: EventData | undefined; end: number } {
  let data: EventData | undefined;
  const end = walkObject(text, start, (name, at) => {
    const extent = extentOf(text, at);
    if (name === "data") data = { json: cut(at, extent.end), depth: extent.depth };
    return extent.end;
  });
  return { data, end };
}
