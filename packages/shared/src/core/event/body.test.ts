import { expect, test } from "vitest";
import { dataOf, eventBody } from "./body.ts";

const TIMESTAMP = "2026-01-31T12:00:00.000Z";

const bodyWith = (data: string): string =>
  Buffer.concat(eventBody("order.created", TIMESTAMP, Buffer.from(data)).map((part) => Buffer.from(part))).toString();

test("an event's body has its type, timestamp and data, and nothing else", () => {
  expect(JSON.parse(bodyWith('{"order":7}'))).toEqual({
    type: "order.created",
    timestamp: TIMESTAMP,
    data: { order: 7 },
  });
});

test.each([
  "1",
  '{ "id" : 12345678901234567890,\n"price":1.50 }',
  '"ünï → 🚚"',
  '{"data":{"data":1},"more":",\\"data\\":"}',
  '",\\"data\\":}"',
])("the data of a body is read back as it was sent: %s", (data) => {
  expect(dataOf(bodyWith(data))).toBe(data);
});
