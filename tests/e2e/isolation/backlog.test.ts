import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { answer } from "@postrider/testkit/receiver/behaviours.ts";
import { eventOf } from "@postrider/testkit/receiver/request.ts";
import { newSubscriber, type Subscriber } from "@postrider/testkit/stack/subscriber.ts";
import { useStack } from "@postrider/testkit/vitest.ts";

const used = useStack({ workers: 2 });

let client: pg.Client;
beforeAll(async () => {
  client = new pg.Client({ connectionString: used.stack.databaseUrl });
  await client.connect();
  await client.query(`
    create table row_changes (delivery uuid, subscription uuid);
    create function note_row_change() returns trigger language plpgsql as $$
      begin insert into row_changes values (new.id, new.subscription_id); return null; end $$;
    create trigger note_row_change after update on deliveries for each row execute function note_row_change()`);
});
afterAll(() => client.end());

/** How often the row of each delivery of a tenant was changed, the most often changed first. */
async function rowChanges({ tenant }: Subscriber): Promise<number[]> {
  const { rows } = await client.query<{ changes: number }>(
    `select count(c.delivery)::int as changes from deliveries d left join row_changes c on c.delivery = d.id
     where d.tenant = $1 group by d.id order by 1 desc`,
    [tenant],
  );
  return rows.map(({ changes }) => changes);
}

async function sendInBatches(subscriber: Subscriber, count: number): Promise<string[]> {
  const sent: string[] = [];
  while (sent.length < count) sent.push(...(await subscriber.send(20)));
  return sent;
}

test("a healthy delivery changes its row once", async () => {
  const subscriber = await newSubscriber(used);
  await subscriber.untilEvery(await subscriber.send(20), "delivered");
  expect(await rowChanges(subscriber)).toEqual(Array(20).fill(1));
});

test("a delivery that a limit holds changes its row twice more, to be held and to be released, and is not held again", async () => {
  const limited = await newSubscriber(used, answer(200), { rateLimit: 50 });
  const serial = await newSubscriber(used, answer(200, { afterMs: 20 }), { maxInFlight: 1 });
  const sent = await Promise.all([limited, serial].map((subscriber) => sendInBatches(subscriber, 200)));
  await Promise.all([limited, serial].map((subscriber, index) => subscriber.untilEvery(sent[index]!, "delivered")));
  for (const subscriber of [limited, serial]) {
    const changes = await rowChanges(subscriber);
    expect(changes).toHaveLength(200);
    expect(changes[0]).toBeLessThanOrEqual(3);
    expect(subscriber.endpoint.requests).toHaveLength(200);
  }
});

test("under a rate limit a backlog and fresh deliveries share the tokens, so that neither starves", async () => {
  const subscriber = await newSubscriber(used, answer(200), { rateLimit: 20 });
  await used.api.pause(subscriber.id);
  const backlog = new Set(await subscriber.backlog(200));
  await used.api.resume(subscriber.id);
  await subscriber.endpoint.untilRequests(20);

  const sentAt = new Map<string, number>();
  const startedAt = Date.now();
  while (Date.now() - startedAt < 8_000) {
    const at = Date.now();
    for (const id of await subscriber.send(1)) sentAt.set(id, at);
    await sleep(Math.max(0, 100 - (Date.now() - at)));
  }
  const released = subscriber.endpoint.requests
    .filter(({ at }) => at >= startedAt)
    .map(eventOf)
    .filter((id) => backlog.has(id));
  await subscriber.untilEvery([...backlog, ...sentAt.keys()], "delivered");
  const latencies = subscriber.endpoint.requests
    .flatMap((request) => request.at - (sentAt.get(eventOf(request)) ?? Number.NaN))
    .filter((ms) => !Number.isNaN(ms))
    .sort((a, b) => a - b);
  // Half of the tokens are 80 in this time. A busy machine may lose some.
  expect(released.length).toBeGreaterThan(30);
  expect(latencies[latencies.length >> 1]).toBeLessThan(2_000);
});
