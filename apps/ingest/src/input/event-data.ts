import { isAscii } from "node:buffer";
import { extentOf, skipSpace, walkList, walkObject } from "./json-walk.ts";

/** A request's body in UTF-8, and as text. */
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
export function dataOfEvent(body: JsonBody): EventData {
  const text = byteText(body);
  return readEvent(body.bytes, text, skipSpace(text, 0)).data!;
}

/** @param body of a batch, valid against the schema of one; one answer per event, in order */
export function dataOfBatch(body: JsonBody): EventData[] {
  const text = byteText(body);
  let all: EventData[] = [];
  walkObject(text, skipSpace(text, 0), (name, at) => {
    if (name !== "events") return extentOf(text, at).end;
    // Of a member that is there twice JSON.parse takes the last one.
    all = [];
    return walkList(text, at, (start) => {
      const { data, end } = readEvent(body.bytes, text, start);
      all.push(data!);
      return end;
    });
  });
  return all;
}

/**
 * A text whose places are those of the bytes, to be walked: read as Latin-1 every byte is a character, and those of a
 * character beyond ASCII are none of JSON's own.
 */
const byteText = ({ bytes, text }: JsonBody): string => (isAscii(bytes) ? text : bytes.toString("latin1"));

function readEvent(bytes: Buffer, text: string, start: number): { data: EventData | undefined; end: number } {
  let data: EventData | undefined;
  const end = walkObject(text, start, (name, at) => {
    const extent = extentOf(text, at);
    if (name === "data") data = { json: bytes.subarray(at, extent.end), depth: extent.depth };
    return extent.end;
  });
  return { data, end };
}
