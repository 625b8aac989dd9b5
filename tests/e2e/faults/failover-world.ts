import { expect } from "vitest";
import { type Receiver, startReceiver } from "@postrider/testkit/receiver/receiver.ts";
import { eventOf } from "@postrider/testkit/receiver/request.ts";
import { localSettings, SHORT_TIMES } from "@postrider/testkit/stack/settings.ts";
import { Stack } from "@postrider/testkit/stack/stack.ts";
import { SteadyPosts } from "@postrider/testkit/stack/steady-posts.ts";
import { newSubscriber } from "@postrider/testkit/stack/subscriber.ts";
import { waitFor } from "@postrider/testkit/wait.ts";

/** A busy machine takes longer than the ten seconds of an idle one. */
const RECOVERED = { within: 90_000 };

/** A stack whose servers are replaced under load. */
export interface FailoverWorld {
  /** Posts events while `failOver` runs, and until deliveries flow again. Prints how long that took. */
  underLoad(what: string, failOver: () => Promise<void>): Promise<void>;
  stop(): Promise<void>;
  output(): string;
}

export async function startFailoverWorld(databaseUrl: string, redisUrl: string): Promise<FailoverWorld> {
  const receiver: Receiver = await startReceiver();
  const stack = await Stack.prepare({ env: { ...localSettings(databaseUrl, redisUrl), ...SHORT_TIMES } });
  await Promise.all([stack.startIngest(), stack.startWorkers(2)]);

  async function allReady(): Promise<boolean> {
    const { body } = await stack.api.call<{ status: string }>("GET", "/readyz");
    const workers = await Promise.all(stack.workers.map((worker) => fetch(`${worker.adminUrl}/readyz`)));
    return body.status === "ok" && workers.every(({ status }) => status === 200);
  }

  return {
    async underLoad(what, failOver) {
      const { endpoint, tenant } = await newSubscriber({ api: stack.api, receiver });
      const posts = new SteadyPosts(stack, tenant);
      await waitFor("deliveries before the failover", () => endpoint.requests.length >= 20);
      await failOver();
      const startedAt = Date.now();
      const after = await waitFor("a 202 after it", () => posts.accepted.find(({ at }) => at > startedAt), RECOVERED);
      const acceptedMs = after.at - startedAt;
      const isAfter = (id: string) => posts.accepted.some((post) => post.id === id && post.at > startedAt);
      const delivered = await waitFor(
        "a delivery after it",
        () => endpoint.requests.findLast((request) => isAfter(eventOf(request))),
        RECOVERED,
      );
      const deliveredMs = delivered.at - startedAt;
      await waitFor("all processes are ready", allReady, RECOVERED);
      process.stdout.write(
        `${what}: first 202 after ${acceptedMs} ms, first delivery after ${deliveredMs} ms, ready after ${Date.now() - startedAt} ms\n`,
      );
      const accepted = await posts.stop();
      await endpoint.untilEvents(accepted, RECOVERED);
      await waitFor(
        "no delivery is unfinished",
        async () => {
          for (const status of ["pending", "retrying", "held"] as const) {
            const { data } = await stack.api.deliveries({ tenant, status });
            if (data.length > 0) throw new Error(`${data.length} are ${status}, such as ${JSON.stringify(data[0])}`);
          }
          return true;
        },
        RECOVERED,
      );
      // No process was restarted.
      expect([stack.ingest, ...stack.workers].filter((one) => !one.isRunning)).toEqual([]);
    },
    async stop() {
      await receiver.close();
      expect(await stack.stop()).toEqual([]);
    },
    output: () => stack.output(),
  };
}
