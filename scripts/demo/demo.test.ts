import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { formatSecret, sign } from "@postrider/shared/core/signing.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import type { Client, Query } from "@postrider/testkit/client/client.ts";
import type { NewEvent, NewSubscription } from "@postrider/testkit/client/types.ts";
import { type Receiver, startReceiver } from "@postrider/testkit/receiver/receiver.ts";
import { report } from "./report.ts";
import { DOWN_MS, runDemo } from "./scenario.ts";

let receiver: Receiver;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.spyOn(console, "log").mockReturnValue(undefined);
  vi.spyOn(console, "table").mockReturnValue(undefined);
  receiver = await startReceiver({ keepsRequests: false });
});
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await receiver.close();
});

const STATUS = new Map([
  [200, "delivered"],
  [422, "dead"],
  [503, "held"],
]);

interface FakeOptions {
  signs?: boolean;
}

/** Delivers each event at once. */
function fakeApi({ signs = true }: FakeOptions = {}): Client {
  const key = Buffer.alloc(32, 1);
  const urls = new Map<string, string>();
  const deliveries: Record<string, unknown>[] = [];

  async function post(url: string, event: string, body: string): Promise<number> {
    const timestamp = Math.floor(Date.now() / 1000);
    const signature = signs ? sign([key], event, timestamp, body) : "v1,bm9uZQ==";
    const headers = {
      "webhook-id": event,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": signature,
    };
    const { status } = await fetch(url, { method: "POST", headers, body });
    if (status !== 500) return status;
    vi.setSystemTime(Date.now() + DOWN_MS);
    return post(url, event, body);
  }

  const api = {
    subscriptions: async () => ({ data: [], nextCursor: null }),
    async subscribe({ url }: NewSubscription) {
      const id = newId();
      urls.set(id, url);
      return { id, secret: formatSecret(key) };
    },
    async send({ type, data }: NewEvent) {
      const id = newId();
      for (const [subscription, url] of urls) {
        const status = STATUS.get(await post(url, id, JSON.stringify({ type, data }))) ?? "dead";
        deliveries.push({ id: newId(), subscription, eventType: type, status, attemptCount: 1 });
      }
      return { id };
    },
    deliveries: async ({ subscription }: Query) => ({
      data: deliveries.filter((one) => one["subscription"] === subscription),
      nextCursor: null,
    }),
  };
  return api as unknown as Client;
}

const run = (options?: FakeOptions, events = 100) =>
  runDemo({
    api: fakeApi(options),
    receiver,
    events,
    signal: new AbortController().signal,
    progress: () => undefined,
  });

test("a demo passes also where it lasted for longer than a signature is valid", async () => {
  const result = await run();
  vi.setSystemTime(Date.now() + 10 * 60_000);
  expect(report(result, "http://127.0.0.1:3001", true)).toBe(true);
});

test("a demo with a signature that is not genuine fails", async () => {
  expect(report(await run({ signs: false }), "http://127.0.0.1:3001", true)).toBe(false);
});

test.each([1, 20])("a demo of %i events passes too, and has a dead letter", async (events) => {
  expect(report(await run({}, events), "http://127.0.0.1:3001", true)).toBe(true);
});
