import { expect, test } from "vitest";
import { useSharedStack } from "@postrider/testkit/vitest.ts";
import { callsTo, expectProblem } from "./problems.ts";

const { call } = callsTo(useSharedStack());

const lists = ["/v1/events", "/v1/subscriptions", "/v1/deliveries"];
const bad = [
  "limit=0",
  "limit=201",
  "limit=-1",
  "limit=1.5",
  "limit=many",
  "cursor=nonsense",
  "cursor=%00",
  "order=up",
];
test.concurrent.each(lists.flatMap((path) => bad.map((query) => [path, query])))(
  "%s refuses ?%s",
  async (path, query) => {
    const answer = await call("GET", `${path}?${query}`);
    expectProblem(answer, 400);
    expect(JSON.stringify(answer.body.errors)).toContain(query?.split("=")[0]);
  },
);

test.concurrent.each<[string, string, string]>([
  ["/v1/events", "since=yesterday", "since"],
  ["/v1/events", "until=tomorrow", "until"],
  ["/v1/events", "type=order..created", "type"],
  ["/v1/events", "tenant=a%20b", "tenant"],
  ["/v1/deliveries", "since=yesterday", "since"],
  ["/v1/deliveries", "until=2026-13-01T00:00:00Z", "until"],
  ...["/v1/events", "/v1/deliveries"].flatMap((path) =>
    ["since", "until"].flatMap((name) =>
      ["2026-02-30", "2026-02-30T12:00:00Z", "2026-04-31T12:00:00%2B02:00"].map((time): [string, string, string] => [
        path,
        `${name}=${time}`,
        name,
      ]),
    ),
  ),
  ["/v1/deliveries", "status=lost", "status"],
  ["/v1/deliveries", "subscription=evt_x", "subscription"],
  ["/v1/deliveries", "event=sub_x", "event"],
  ["/v1/subscriptions", "status=lost", "status"],
  ["/v1/subscriptions", "tenant=a%20b", "tenant"],
])("the list %s refuses ?%s", async (path, query, field) => {
  const answer = await call("GET", `${path}?${query}`);
  expectProblem(answer, 400);
  expect(JSON.stringify(answer.body.errors)).toContain(field);
});

test.concurrent("the lists accept the largest and the smallest limit", async () => {
  for (const path of lists)
    for (const limit of [1, 200]) expect((await call("GET", `${path}?limit=${limit}`)).status).toBe(200);
});
