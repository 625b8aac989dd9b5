import { expect, test } from "vitest";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { retryJob, retryJobId } from "@postrider/shared/queue/jobs.ts";
import { NAME, TITLE, useConsole } from "./running-console.ts";

const own = useConsole();

test("the board's page loads nothing from other hosts", async () => {
  const answer = await own.app.get("/queues", own.app.basic);
  expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'");
  expect(await answer.text()).not.toMatch(/(href|src)="https?:/);
});

test("a retry job shows the API path of its delivery", async () => {
  const delivery = await own.app.deadLetter();
  const { job } = await own.app.json(`/queues/api/queues/retry/${retryJobId(delivery, 0)}`);
  expect(job.name).toBe(NAME);
  expect(job.data.api).toBe(`/v1/deliveries/${toPublicId("dlv", delivery)}`);
});

test("Retry on a dead letter is a manual retry, through Postgres", async () => {
  const delivery = await own.app.deadLetter();
  const answer = await own.app.put(`/queues/api/queues/retry/${retryJobId(delivery, 0)}/retry`, own.app.basic);
  expect(answer.status).toBe(204);
  expect(await own.app.row(delivery)).toEqual({ state: "retrying", cycle: 1 });
  expect(await own.app.jobState(delivery, 0)).toBe("unknown");
  expect(await own.app.jobState(delivery, 1)).toBe("waiting");
  const retried = { user: "operator", delivery: toPublicId("dlv", delivery), kind: "retrying", cycle: 1 };
  expect(own.app.logged).toContainEqual(expect.objectContaining(retried));
});

test("two clicks on Retry begin one new cycle", async () => {
  const delivery = await own.app.deadLetter();
  const path = `/queues/api/queues/retry/${retryJobId(delivery, 0)}/retry`;
  const answers = await Promise.all([own.app.put(path, own.app.basic), own.app.put(path, own.app.basic)]);
  expect(answers.map(({ status }) => status).filter((status) => status === 204)).toHaveLength(1);
  expect(await own.app.row(delivery)).toEqual({ state: "retrying", cycle: 1 });
});

test("a dead letter that was delivered in the meantime is not sent again, and leaves the board", async () => {
  const delivery = await own.app.deadLetter();
  await own.app.context.pool.query("update deliveries set state = 'delivered', dead_reason = null where id = $1", [
    delivery,
  ]);
  const answer = await own.app.put(`/queues/api/queues/retry/${retryJobId(delivery, 0)}/retry`, own.app.basic);
  expect(answer.status).toBe(409);
  expect((await answer.json()) as object).toMatchObject({ message: expect.stringContaining("delivered by now") });
  expect(await own.app.row(delivery)).toEqual({ state: "delivered", cycle: 0 });
  expect(await own.app.jobState(delivery, 0)).toBe("unknown");
});

test.each([
  ["paused", "resume"],
  ["disabled", "enable"],
])("Retry says that the subscription is %s, and the dead letter stays on the board", async (status, instead) => {
  const delivery = await own.app.deadLetter();
  await own.app.context.pool.query(
    "update subscriptions set status = $2, disabled_reason = $3 where id = (select subscription_id from deliveries where id = $1)",
    [delivery, status, status === "disabled" ? "gone" : null],
  );
  const answer = await own.app.put(`/queues/api/queues/retry/${retryJobId(delivery, 0)}/retry`, own.app.basic);
  expect([answer.status, await answer.json()]).toMatchObject([
    409,
    { message: expect.stringMatching(new RegExp(`is ${status}.*/${instead}`)) },
  ]);
  const all = await own.app.put("/queues/api/queues/retry/retry/failed", own.app.basic);
  expect((await all.json()) as object).toMatchObject({
    retried: 0,
    message: `Not retried: 1 of a ${status} subscription.`,
  });
  expect(await own.app.row(delivery)).toEqual({ state: "dead", cycle: 0 });
  expect(await own.app.jobState(delivery, 0)).toBe("failed");
});

test("Promote makes a waiting retry due now, through Postgres", async () => {
  const delivery = await own.app.insertDelivery("retrying");
  await own.app.context.queues.retry.addBulk([retryJob({ delivery, cycle: 0, ...TITLE, delayMs: 60_000 })]);
  const answer = await own.app.put(`/queues/api/queues/retry/${retryJobId(delivery, 0)}/promote`, own.app.basic);
  expect(answer.status).toBe(204);
  expect(await own.app.row(delivery)).toEqual({ state: "retrying", cycle: 1 });
  expect(await own.app.jobState(delivery, 0)).toBe("unknown");
  expect(await own.app.jobState(delivery, 1)).toBe("waiting");
});

test("Retry all retries the deliveries that are still dead, and reports the others", async () => {
  const retried = [await own.app.deadLetter(), await own.app.deadLetter(), await own.app.deadLetter()];
  const all = await own.app.put("/queues/api/queues/retry/retry/failed", own.app.basic);
  expect([all.status, await all.json()]).toEqual([200, { retried: 3, skipped: 0 }]);
  for (const delivery of retried) expect(await own.app.row(delivery)).toEqual({ state: "retrying", cycle: 1 });

  const [delivered, ofDeleted, dead] = [
    await own.app.deadLetter(),
    await own.app.deadLetter(),
    await own.app.deadLetter(),
  ];
  const { pool, queues } = own.app.context;
  await pool.query("update deliveries set state = 'delivered', dead_reason = null where id = $1", [delivered]);
  await pool.query(
    "update subscriptions set deleted_at = now() where id = (select subscription_id from deliveries where id = $1)",
    [ofDeleted],
  );
  const some = await own.app.put("/queues/api/queues/retry/retry/failed", own.app.basic);
  expect(some.status).toBe(409);
  expect((await some.json()) as object).toMatchObject({
    retried: 1,
    skipped: 2,
    message: "Not retried: 1 delivered by now, 1 of a deleted subscription.",
  });
  expect(await own.app.row(dead)).toEqual({ state: "retrying", cycle: 1 });
  expect(await queues.retry.getFailedCount()).toBe(1);
});

test("a dead letter that never had a retry is shown and retried in the queue of dead letters", async () => {
  const [one, other] = [await own.app.deadLetter("dead-letters"), await own.app.deadLetter("dead-letters")];
  const board = "/queues/api/queues/dead-letters";
  const retried = await own.app.put(`${board}/${retryJobId(one, 0)}/retry`, own.app.basic);
  expect(retried.status).toBe(204);
  const all = await own.app.put(`${board}/retry/failed`, own.app.basic);
  expect([all.status, await all.json()]).toEqual([200, { retried: 1, skipped: 0 }]);
  for (const delivery of [one, other]) {
    expect(await own.app.row(delivery)).toEqual({ state: "retrying", cycle: 1 });
    expect(await own.app.jobState(delivery, 1)).toBe("waiting");
  }
  expect(await own.app.context.queues.deadLetters.getFailedCount()).toBe(0);
});

test("actions that would change queues or jobs are refused with an alternative", async () => {
  const delivery = await own.app.deadLetter();
  const job = `/queues/api/queues/retry/${retryJobId(delivery, 0)}`;
  const refused: [string, string, RegExp][] = [
    ["PUT", "/queues/api/queues/pause", /Pause the one subscription/],
    ["PUT", "/queues/api/queues/retry/pause", /Pause the one subscription/],
    ["PUT", "/queues/api/queues/retry/obliterate", /Postgres is the truth/],
    ["PUT", "/queues/api/queues/retry/empty", /Postgres is the truth/],
    ["PUT", "/queues/api/queues/retry/clean/failed", /Postgres is the truth/],
    ["PUT", "/queues/api/queues/retry/promote", /burst/],
    ["PUT", "/queues/api/queues/retry/concurrency", /maxInFlight/],
    ["PUT", "/queues/api/queues/dispatch/retry/failed", /dead letters/],
    ["POST", "/queues/api/queues/retry/add", /POST \/v1\/events/],
    ["PUT", `${job}/clean`, /Postgres is the truth/],
    ["PATCH", `${job}/update-data`, /ids and nothing else/],
    ["PATCH", `${job}/delay`, /retry it/],
  ];
  for (const [method, path, instead] of refused) {
    const answer = await own.app.call(method, path, own.app.basic, "{}");
    const body = (await answer.json()) as { message: string };
    expect([path, answer.status, body.message]).toEqual([path, 403, expect.stringMatching(instead)]);
  }
  expect(await own.app.jobState(delivery, 0)).toBe("failed");
  expect(await own.app.context.queues.retry.isPaused()).toBe(false);
});

test("a page of the board has at most 100 jobs, whatever the request asks for", async () => {
  const jobs = Array.from({ length: 120 }, () => retryJob({ delivery: newId(), cycle: 0, ...TITLE, delayMs: 0 }));
  await own.app.context.queues.retry.addBulk(jobs);
  const { queues } = await own.app.json(
    "/queues/api/queues?activeQueue=retry&status=waiting&page=1&jobsPerPage=100000",
  );
  const retry = queues.find(({ name }: { name: string }) => name === "retry");
  expect(retry.jobs).toHaveLength(100);
});

test("a body that the board cannot read is the client's error, and no error in the log", async () => {
  const before = own.app.logged.length;
  const answer = await own.app.call("POST", "/queues/api/queues/retry/add", own.app.basic, '{"password":hunter2}');
  expect(answer.status).toBe(400);
  expect(JSON.stringify(own.app.logged.slice(before))).not.toContain("hunter");
});
