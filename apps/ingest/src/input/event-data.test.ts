import fc from "fast-check";
import { expect, test } from "vitest";
import { dataOfBatch, dataOfEvent } from "./event-data.ts";

const indent = fc.constantFrom(undefined, 1, "\t", "\n \r\n");
/** JSON texts of any value, some with white space. */
const jsonText = fc.tuple(fc.jsonValue(), indent).map(([value, space]) => JSON.stringify(value, null, space));
const member = (name: string, text: string) => `${JSON.stringify(name)} :\t${text}\n`;

const bodyOf = (text: string) => ({ bytes: Buffer.from(text), text });
const textOf = (data: { json: Buffer } | undefined): string | undefined => data?.json.toString();

/** The text of an event with other members around its data, in any order. */
const event = fc.tuple(jsonText, fc.array(fc.tuple(fc.string(), jsonText)), fc.nat()).map(([data, others, place]) => {
  const members = others.filter(([name]) => name !== "data").map(([name, text]) => member(name, text));
  members.splice(place % (members.length + 1), 0, member("data", data));
  return { data, text: ` {${members.join(" ,")}} ` };
});

test("an event's data is cut out as it was sent, to the byte, wherever it stands", () => {
  fc.assert(
    fc.property(event, ({ data, text }) => {
      expect(textOf(dataOfEvent(bodyOf(text)))).toBe(data);
    }),
  );
});

test("so is that of every event of a batch, in order", () => {
  fc.assert(
    fc.property(fc.array(event), jsonText, (events, other) => {
      const batch = `\n{ "other":${other},"events" :[ ${events.map(({ text }) => text).join(",")}]}`;
      expect(dataOfBatch(bodyOf(batch)).map(textOf)).toEqual(events.map(({ data }) => data));
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
  const raw = textOf(dataOfEvent(bodyOf(text)))!;
  expect(text).toContain(`"data":${raw}`);
  expect(JSON.parse(raw)).toEqual((JSON.parse(text) as { data: unknown }).data);
});

test("a member that is there twice, or spelled with escapes, is the one that JSON.parse takes", () => {
  expect(textOf(dataOfEvent(bodyOf(String.raw`{"data":1,"data":2,"d\u0061ta":3}`)))).toBe("3");
  const batch = '{"events":[1,[2],{"data":3}],"events":{"data":4},"events":[{"data":5},{"data":6}]}';
  expect(dataOfBatch(bodyOf(batch)).map(textOf)).toEqual(["5", "6"]);
});

test("how deep it is nested is counted without recursion", () => {
  const depths = ["1", '"["', "[]", '{"a":[{}],"b":1}', "[".repeat(100_000) + "]".repeat(100_000)];
  const batch = `{"events":[${depths.map((data) => `{"data":${data}}`).join(",")}]}`;
  expect(dataOfBatch(bodyOf(batch)).map(({ depth }) => depth)).toEqual([0, 0, 1, 3, 100_000]);
});

test("any JSON at all has an end", () => {
  fc.assert(
    fc.property(jsonText, (text) => {
      dataOfBatch(bodyOf(`{"events":${text}}`));
      dataOfBatch(bodyOf(text));
    }),
  );
});
