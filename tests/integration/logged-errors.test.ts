import { afterAll, beforeAll, expect, test } from "vitest";
import { createLogger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { subscriptions } from "@postrider/shared/store/schema/index.ts";
import { createDb } from "@postrider/shared/store/pool.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";

const SECRET = "s3cret-5b1f";

let world: World;
beforeAll(async () => {
  world = await createTestWorld();
  await world.subscribe();
});
afterAll(() => world.close());

test.each(["trace", "debug", "info", "warn", "error", "fatal"] as const)(
  "a failed statement is logged at level %s without its parameters and without the values in Postgres's message",
  async (level) => {
    const db = createDb(world.context.pool);
    const lines: string[] = [];
    const log = createLogger("ingest", "trace", { write: (line) => void lines.push(line) });
    const failing = [
      async () => db.update(subscriptions).set({ id: SECRET, url: `https://${SECRET}` }),
      async () => db.update(subscriptions).set({ status: SECRET as "active" }),
      () => world.context.pool.query("select $1::int", [SECRET]),
      () => world.context.pool.query("select $1::jsonb", [`{"a": ${SECRET}`]),
    ];
    for (const fail of failing) {
      const error: unknown = await fail().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(Error);
      log[level]({ err: error }, "could not run a statement");
    }
    expect(lines).toHaveLength(failing.length);
    for (const line of lines) {
      expect(line).not.toContain(SECRET);
      expect(JSON.parse(line)).toMatchObject({ err: { code: expect.stringMatching(/^[0-9A-Z]{5}$/) } });
    }
  },
);
