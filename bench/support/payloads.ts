import { type ExampleEvent, githubEvents } from "@postrider/testkit/factories/github.ts";

export const eventCount = githubEvents.length;

/** The mean size of an event's data, in bytes. */
export const meanBytes = Math.round(
  githubEvents.reduce((sum, { data }) => sum + Buffer.byteLength(JSON.stringify(data)), 0) / eventCount,
);

/** The index-th event, from the start again after the last: every contender gets the same events in the same order. */
export const eventAt = (index: number): ExampleEvent => githubEvents[index % eventCount]!;

/**
 * Each event's data as JSON text.
 *
 * @param bytes for as many payloads again, each a string of this size that is cut out of them, so that it is as
 *   compressible as they are; undefined for the payloads as they are
 */
export function payloadTexts(bytes: number | undefined): string[] {
  const texts = githubEvents.map(({ data }) => JSON.stringify(data));
  if (bytes === undefined) return texts;
  const all = texts.join("").replaceAll(/["\\]|[^ -~]/g, " ");
  const quotes = 2;
  const step = Math.floor((all.length - bytes) / texts.length);
  return texts.map((_, index) => `"${all.slice(index * step, index * step + bytes - quotes)}"`);
}

/** The body that Postrider would deliver for an event, made by hand for the contenders without Postrider. */
export const deliveredBody = ({ type, data }: ExampleEvent): string =>
  JSON.stringify({ type, timestamp: "2026-01-01T00:00:00.000Z", data });
