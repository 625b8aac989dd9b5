import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** An event as the API takes it. */
export interface ExampleEvent {
  type: string;
  data: unknown;
}

interface Definition {
  name: string;
  examples: { action?: unknown }[];
}

/** Several hundred payloads that GitHub really sent, 10 kB on average and 27 kB at most. */
const events: readonly ExampleEvent[] = readExamples();

export const eventCount = events.length;

/** The mean size of an event's data, in bytes. */
export const meanBytes = Math.round(
  events.reduce((sum, { data }) => sum + Buffer.byteLength(JSON.stringify(data)), 0) / events.length,
);

/** The index-th event, beginning again after the last: every contender is given the same ones in the same order. */
export const eventAt = (index: number): ExampleEvent => events[index % events.length]!;

/**
 * Each event's data as JSON text.
 *
 * @param bytes for as many payloads again, each a string of this size that is cut out of them, so that it is as compressible as
 *   they are; undefined for the payloads as they are
 */
export function payloadTexts(bytes: number | undefined): string[] {
  const texts = events.map(({ data }) => JSON.stringify(data));
  if (bytes === undefined) return texts;
  const all = texts.join("").replaceAll(/["\\]|[^ -~]/g, " ");
  const quotes = 2;
  const step = Math.floor((all.length - bytes) / texts.length);
  return texts.map((_, index) => `"${all.slice(index * step, index * step + bytes - quotes)}"`);
}

/** What is delivered for an event: what Postrider would send, made by hand for the contenders that lack it. */
export const deliveredBody = ({ type, data }: ExampleEvent): string =>
  JSON.stringify({ type, timestamp: "2026-01-01T00:00:00.000Z", data });

function readExamples(): ExampleEvent[] {
  const file = fileURLToPath(import.meta.resolve("@octokit/webhooks-examples"));
  const definitions = JSON.parse(readFileSync(file, "utf8")) as Definition[];
  return definitions.flatMap(({ name, examples }) =>
    examples.map((data) => ({ type: typeof data.action === "string" ? `${name}.${data.action}` : name, data })),
  );
}
