import fc from "fast-check";
import { expect, test } from "vitest";
import { parseListWithRaw, parseWithRaw, RawJson } from "./raw-json.ts";
import { NotJson } from "./json-scan.ts";

const indent = fc.constantFrom(undefined, 1, "\t", "\n \r\n");
/** JSON texts of any value, some with white space. */
const jsonText = fc.tuple(fc.jsonValue(), indent).map(([value, space]) => JSON.stringify(value, null, space));
const member = (name: string, text: string) => `${JSON.stringify(name)} :\t${text}\n`;

/** An event's data as it was sent, and all that is parsed in the place of it. */
interface Event {
  data: RawJson;
}
const parseEvent = (json: Buffer) => parseWithRaw(json, "data");
const parseBatch = (json: Buffer) => parseListWithRaw(json, "events", "data");

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

test("all other members equal the result of JSON.parse, in an event and in a batch", () => {
  const bodies = fc.oneof(
    jsonText,
    event.map(({ text }) => text),
    fc
      .array(
        fc.oneof(
          jsonText,
          event.map(({ text }) => text),
        ),
      )
      .map((all) => `{"events":[${all.join(",")}],"more":1}`),
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
  const batch = '{"events":[1,[2],{"data":3}],"events":{"data":4},"events":[{"data":5},{"data":6}]}';
  expect(eventsOf(batch).map(textOf)).toEqual(["5", "6"]);
});

test("no member becomes the prototype of the result", () => {
  const event = eventOf('{"__proto__":{"type":"smuggled"},"data":1}') as unknown as Record<string, unknown>;
  expect(Object.hasOwn(event, "__proto__")).toBe(true);
  expect(event["type"]).toBeUndefined();
});

test("the nesting depth is counted without recursion", () => {
  const depths = ["1", '"["', "[]", '{"a":[{}],"b":1}', "[".repeat(100_000) + "]".repeat(100_000)];
  const batch = `{"events":[${depths.map((data) => `{"data":${data}}`).join(",")}]}`;
  expect(eventsOf(batch).map(({ data }) => data.depth)).toEqual([0, 0, 1, 3, 100_000]);
});

test.each(["", "{", '{"data":1}}', '{"data":1} x', '{"events":[{"data":01}]}', '{"events":[{}]', '{"events":[{},]}'])(
  "%s is not JSON",
  (text) => {
    expect(() => parseEvent(Buffer.from(text))).toThrow(NotJson);
    expect(() => parseBatch(Buffer.from(text))).toThrow(NotJson);
  },
);
