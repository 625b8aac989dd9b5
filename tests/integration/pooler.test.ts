import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { checkDatabase } from "@postrider/shared/runtime/process/infrastructure.ts";
import { createLogger } from "@postrider/shared/runtime/telemetry/logger.ts";
import { createPool } from "@postrider/shared/store/pool.ts";
import { refusePooler } from "@postrider/shared/store/pooler.ts";
import { isSkipped } from "@postrider/testkit/must-run.ts";
import { startPgBouncer, type PgBouncerOptions } from "@postrider/testkit/servers/pgbouncer.ts";
import { createTestWorld } from "@postrider/testkit/vitest.ts";
import type { World } from "@postrider/testkit/world/world.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { whyNoProgram } from "../../scripts/services/install.ts";
import { isFree } from "../../scripts/services/ports.ts";
import { run } from "../../scripts/services/processes.ts";

const log = createLogger("test", "silent");
let world: World;
beforeAll(async () => {
  world = await createTestWorld();
});
afterAll(() => world.close());

function poolFor(url: string) {
  const pool = createPool(url, "test", 3, log);
  onTestFinished(() => pool.end());
  return pool;
}

async function through(options: PgBouncerOptions) {
  const pooler = await startPgBouncer(world.settings.databaseUrl, options);
  onTestFinished(() => pooler.stop());
  return poolFor(pooler.url);
}

test("a connection to Postgres itself is no pooler", async () => {
  const pool = poolFor(world.settings.databaseUrl);
  await refusePooler(pool);
  expect(pool.totalCount).toBe(1);
});

/** As an operator would configure it after PgBouncer has refused our settings. */
const IGNORED = "ignore_startup_parameters = options,statement_timeout,lock_timeout,extra_float_digits";
/** As if it passed our settings on. */
const GIVEN = `${IGNORED}\nserver_reset_query =\nserver_check_query =`;

const noPgBouncer = await whyNoProgram("pgbouncer");

describe.skipIf(isSkipped(noPgBouncer))(noPgBouncer ?? "PgBouncer", () => {
  test("ends with the process that has started it", async () => {
    const kit = resolve(import.meta.dirname, "../../packages/testkit/src/servers/pgbouncer.ts");
    const script = `
      import { startPgBouncer } from ${JSON.stringify(kit)};
      const { url } = await startPgBouncer("postgres://127.0.0.1/none", { mode: "session" });
      process.stdout.write(new URL(url).port, () => process.exit());
    `;
    const { code, stdout } = await run(process.execPath, ["--input-type=module", "-e", script]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^\d+$/) });
    await waitFor("nothing listens there", () => isFree(Number(stdout)));
  });

  test.each<[string, PgBouncerOptions]>([
    ["pools transactions", { mode: "transaction" }],
    ["pools transactions and drops our settings", { mode: "transaction", options: IGNORED }],
    ["pools sessions and drops our settings", { mode: "session", options: IGNORED }],
  ])("is refused at start where it %s", async (_, options) => {
    const pool = await through(options);
    await expect(checkDatabase({ pool }, world.settings)).rejects.toThrow(/pooler such as PgBouncer/);
  });

  test.each<[string, PgBouncerOptions]>([
    ["idle ones", { mode: "transaction" }],
    ["one for all", { mode: "transaction", poolSize: 1 }],
    ["in turn", { mode: "transaction", options: "server_round_robin = 1" }],
  ])("is refused where it shares connections that have our settings: %s", async (_, { options = "", ...more }) => {
    const pool = await through({ ...more, options: `${GIVEN}\n${options}`, settings: "set jit = off" });
    const { rows } = await pool.query<{ jit: string }>("show jit");
    expect(rows).toEqual([{ jit: "off" }]);
    await expect(refusePooler(pool)).rejects.toThrow(/pooler such as PgBouncer/);
  });

  test("is accepted where it keeps sessions apart and has our settings", async () => {
    await refusePooler(await through({ mode: "session", options: GIVEN, settings: "set jit = off" }));
  });
});
