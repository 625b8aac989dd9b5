import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { NotJson } from "./json-scan.ts";
import type { Problem } from "./problem.ts";
import { parseShape, RawJson, type Shape } from "./raw-json.ts";

const indent = fc.constantFrom(undefined, 1, "\t", "\n \r\n");
/** JSON texts of any value, some with white space. */
const jsonText = fc.tuple(fc.jsonValue(), indent).map(([value, space]) => JSON.stringify(value, null, space));
const member = (name: string, text: string) => `${JSON.stringify(name)} :\t${text}\n`;

/** An event's data as it was sent, and all that is parsed in the place of it. */
interface Event {
  data: RawJson;
}
const MAX_DEPTH = 100;
/** A set that has every name. */
const everything = Object.assign(new Set(Array(100).keys().map(String)), { has: () => true });
const eventShape: Shape = { members: everything, raw: new Set(["data"]) };
const parseEvent = (json: Buffer) => parseShape(json, eventShape, MAX_DEPTH);
const parseBatch = (json: Buffer) =>
  parseShape(json, { members: everything, list: { name: "events", max: 1_000, of: eventShape } }, MAX_DEPTH);

const eventOf = (text: string) => parseEvent(Buffer.from(text)) as Event;
const eventsOf = (text: string) => (parseBatch(Buffer.from(text)) as { events: Event[] }).events;
const textOf = ({ data }: Event): string => data.json.toString();

/** The text of an event with other members around its data, in any order. */
const event = fc.tuple(jsonText, fc.array(fc.tuple(fc.string(), jsonText)), fc.nat()).map(([data, others, place]) => {
  const members = others.filter(([name]) => name !== "data").map(([name, text]) => member(name, text));
  members.splice(place % (members.length + 1), 0, member("data", data));
  return { data, text: ` {${members.join(" ,")}} ` };
});

test("an event's data is kept byte for byte, wherever it stands", () => {
  fc.assert(
    fc.property(event, ({ data, text }) => {
      expect(textOf(eventOf(text))).toBe(data);
    }),
  );
});

test("the data of every event of a batch is kept byte for byte, in order", () => {
  fc.assert(
    fc.property(fc.array(event), jsonText, (events, other) => {
      const batch = `\n{ "other":${other},"events" :[ ${events.map(({ text }) => text).join(",")}]}`;
      expect(eventsOf(batch).map(textOf)).toEqual(events.map(({ data }) => data));
    }),
  );
});

/** What was parsed, with the data parsed, too. */
const parsed = (value: unknown): unknown => {
  if (value instanceof RawJson) return JSON.parse(value.json.toString());
  if (Array.isArray(value)) return value.map(parsed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, parsed(member)]));
};

/** Of an object, because a list or an object in its place is left to the schema. */
const eventText = event.map(({ text }) => text);

test("all other members equal the result of JSON.parse, in an event and in a batch", () => {
  const bodies = fc.oneof(
    eventText,
    fc.array(eventText).map((all) => `{"events":[${all.join(",")}],"more":1}`),
  );
  fc.assert(
    fc.property(bodies, (text) => {
      for (const parse of [parseEvent, parseBatch]) expect(parsed(parse(Buffer.from(text)))).toEqual(JSON.parse(text));
    }),
  );
});

test.each([
  '{"data":12345678901234567890}',
  '{"data":-0.1e+400 }',
  '{"data":"a \\" } ] , \\\\"}',
  '{"data":{"data":[{"data":1}],"}":"]"},"type":"data"}',
  '{"data":"ünï → 🚚 \\ud800"}',
  '{"data":null}',
])("%s", (text) => {
  const raw = textOf(eventOf(text));
  expect(text).toContain(`"data":${raw}`);
  expect(JSON.parse(raw)).toEqual((JSON.parse(text) as { data: unknown }).data);
});

test("of repeated or escaped members the same one counts as with JSON.parse", () => {
  expect(textOf(eventOf(String.raw`{"data":1,"data":2,"d\u0061ta":3}`))).toBe("3");
  const batch = '{"events":[1,[],{"data":3}],"events":{"data":4},"events":[{"data":5},{"data":6}]}';
  expect(eventsOf(batch).map(textOf)).toEqual(["5", "6"]);
});

test("no member becomes the prototype of the result", () => {
  const event = eventOf('{"__proto__":{"type":"smuggled"},"data":1}') as unknown as Record<string, unknown>;
  expect(Object.hasOwn(event, "__proto__")).toBe(true);
  expect(event["type"]).toBeUndefined();
});

test.each(["", "{", '{"data":1}}', '{"data":1} x', '{"events":[{"data":01}]}', '{"events":[{}]', '{"events":[{},]}'])(
  "%s is not JSON",
  (text) => {
    expect(() => parseEvent(Buffer.from(text))).toThrow(NotJson);
    expect(() => parseBatch(Buffer.from(text))).toThrow(NotJson);
  },
);

/** The errors that a body is refused with. */
function refused(text: string, shape: Shape): Problem {
  try {
    parseShape(Buffer.from(text), shape, MAX_DEPTH);
  } catch (error) {
    if ((error as Problem).code === "invalid_request") return error as Problem;
    throw error;
  }
  throw new Error("it was not refused");
}

describe("a body that can only be refused costs no more than its bytes", () => {
  const flat: Shape = { members: new Set(["type", "data"]), raw: new Set(["data"]), hasOnlyStrings: true };
  const batch: Shape = {
    members: new Set(["events"]),
    hasOnlyStrings: true,
    list: { name: "events", max: 3, of: flat },
  };
  /** What follows is not JSON, so a parser that does not stop before fails with NotJson. */
  const BROKEN = "¡";
  const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);

  afterEach(() => void vi.restoreAllMocks());

  test.each([
    ["of unknown members", '{"colour":[1,2],"size":{"a":1},"data":1}'],
    ["that should be strings", '{"type":{"a":[1]},"data":1}'],
    ["that should be objects", '[{"type":[]}]'],
    ["that are numbers in the place of strings", '{"type":12345678901234567890}'],
  ])("values %s are not parsed", (_, text) => {
    const parse = vi.spyOn(JSON, "parse");
    parseShape(Buffer.from(text), flat, MAX_DEPTH);
    parseShape(Buffer.from(`{"events":[${text}]}`), batch, MAX_DEPTH);
    parseShape(Buffer.from(`{"events":${text}}`), { ...batch, list: { name: "others", max: 3, of: flat } }, MAX_DEPTH);
    expect(parse).not.toHaveBeenCalled();
  });

  test("it stops at the first event too many", () => {
    const { errors } = refused(`{"events":[${'{"data":1},'.repeat(3)}${BROKEN}`, batch);
    expect(errors).toEqual([{ field: "events", message: "must have at most 3 entries" }]);
  });

  test.each([
    ["unknown", (n: number) => `"x${n}":1`, "is not a known field"],
    ["repeated", () => '"type":1', "is repeated"],
  ])("it stops at the hundredth %s member, wherever they stand", (_, member, message) => {
    const members = (count: number) => Array.from({ length: count }, (__, n) => member(n)).join(",");
    expect(refused(`{"type":"a","data":1,${members(100)},${BROKEN}`, flat).errors).toHaveLength(20);
    const events = `{"events":[{"type":"a","data":1,${members(60)}},{"type":"a","data":1,${members(40)},${BROKEN}`;
    expect(refused(events, batch).errors?.[0]).toEqual({ field: expect.stringMatching(/^events\.0\./), message });
    expect(() => parseShape(Buffer.from(`{"type":"a",${members(99)}}`), flat, MAX_DEPTH)).not.toThrow();
  });

  test("it stops where lists and objects are nested too deeply, and names the field", () => {
    for (const field of ["data", "type", "colour"]) {
      const event = (levels: number) => `{"${field}":${nested(levels)}`;
      expect(() => parseShape(Buffer.from(`${event(MAX_DEPTH)}}`), flat, MAX_DEPTH)).not.toThrow();
      const open = `{"${field}":${"[".repeat(MAX_DEPTH + 1)}${BROKEN}`;
      expect(refused(open, flat).errors).toMatchObject([{ field }]);
      expect(refused(`{"events":[{"data":1},${open}`, batch).errors).toMatchObject([{ field: `events.1.${field}` }]);
    }
    expect(refused("[".repeat(MAX_DEPTH + 1), flat).errors).toMatchObject([{ field: "body" }]);
    expect(refused(`{"events":[${"[".repeat(MAX_DEPTH + 1)}`, batch).errors).toMatchObject([{ field: "events.0" }]);
  });

  test("a number that would be rounded is refused by name, wherever it stands", () => {
    const lax: Shape = { members: new Set(["limit", "data"]), raw: new Set(["data"]) };
    for (const number of ["1e400", "12345678901234567890", "100.00000000000000001", "1e-400"]) {
      for (const value of [number, `{"a":[1,${number}]}`]) {
        expect(refused(`{"limit":${value},"data":1}`, lax).errors).toMatchObject([{ field: "limit" }]);
        const batchOf: Shape = { members: new Set(["events"]), list: { name: "events", max: 3, of: lax } };
        const { errors } = refused(`{"events":[{"data":1},{"limit":${value}}]}`, batchOf);
        expect(errors).toMatchObject([{ field: "events.1.limit", message: expect.stringContaining(number) }]);
      }
      expect(() => parseShape(Buffer.from(`{"data":${number}}`), lax, MAX_DEPTH)).not.toThrow();
    }
    expect(parseShape(Buffer.from('{"limit":1.50e1}'), lax, MAX_DEPTH)).toEqual({ limit: 15 });
  });

  test("names and messages are cut", () => {
    const long = "x".repeat(100_000);
    const members = Array.from({ length: 100 }, (_, n) => `"${n}${long}":1`).join(",");
    const problem = refused(`{${members}}`, flat);
    expect(JSON.stringify(problem.errors).length + problem.message.length).toBeLessThan(20_000);
  });
});
