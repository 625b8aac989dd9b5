import { extentOf, skipSpace, walkList, walkObject } from "./json-walk.ts";

/** The `data` of an event as it was sent. */
export interface EventData {
  /** JSON text in UTF-8, a view of the request's bytes. */
  json: Buffer;
  /** How many lists and objects are inside of each other. */
  depth: number;
}

/** @param body of a single event, valid against the schema of one */
export function dataOfEvent(body: Buffer): EventData {
  return readEvent(body, skipSpace(body, 0)).data!;
}

/** @param body of a batch, valid against the schema of one; one answer per event, in order */
export function dataOfBatch(body: Buffer): EventData[] {
  let all: EventData[] = [];
  walkObject(body, skipSpace(body, 0), (name, at) => {
    if (name !== "events") return extentOf(body, at).end;
    // Of a member that is there twice JSON.parse takes the last one.
    all = [];
    return walkList(body, at, (start) => {
      const { data, end } = readEvent(body, start);
      all.push(data!);
      return end;
    });
  });
  return all;
}

function readEvent(body: Buffer, start: number): { data: EventData | undefined; end: number } {
  let data: EventData | undefined;
  const end = walkObject(body, start, (name, at) => {
    const extent = extentOf(body, at);
    if (name === "data") data = { json: body.subarray(at, extent.end), depth: extent.depth };
    return extent.end;
  });
  return { data, end };
}
