import { spawn } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import { claimRedis, withRedis } from "@postrider/testkit/servers/redis.ts";
import { SERVERS_DIR } from "@postrider/testkit/servers/test-servers.ts";
import { testWithOwnServers as test } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { startThrowawayRedis, type Throwaway } from "../../scripts/services/index.ts";

const KIT = resolve(import.meta.dirname, "../../packages/testkit/src/servers/redis.ts");

/** With two databases for tests, and the one of the claims. */
let server: Throwaway;
beforeEach(async () => {
  server = await startThrowawayRedis(SERVERS_DIR, { args: ["--databases", "3"] });
});
afterEach(() => server?.stop());

const inDatabase = (database: string): string => new URL(database, server.url).href;

/** Claims a database in a process that is killed, after it has written a key. @returns the database */
async function claimAndBeKilled(): Promise<string> {
  const script = `
    import { claimRedis, withRedis } from ${JSON.stringify(KIT)};
    const { url } = await claimRedis(${JSON.stringify(server.url)});
    await withRedis(url, (redis) => redis.set("left", "behind"));
    process.stdout.write(url);
    setInterval(() => undefined, 1_000);
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
    cwd: join(import.meta.dirname, "../.."),
  });
  const [url] = (await once(child.stdout, "data")) as [Buffer];
  child.kill("SIGKILL");
  await once(child, "exit");
  return new URL(String(url)).pathname.slice(1);
}

/** As if a minute were over. */
const endClaim = (database: string) =>
  withRedis(server.url, (redis) => redis.del(`postrider-test-database:${database}`));

test("a database of a run that was killed is emptied and used again, and a foreign one never is", async () => {
  const left = await claimAndBeKilled();
  const foreign = left === "1" ? "2" : "1";
  await withRedis(inDatabase(foreign), (redis) => redis.set("somebody", "else's"));
  await endClaim(left);
  const claimed = await claimRedis(server.url);
  expect(new URL(claimed.url).pathname).toBe(`/${left}`);
  expect(await withRedis(claimed.url, (redis) => redis.get("left"))).toBeNull();
  await claimed.release();
  expect(await withRedis(inDatabase(left), (redis) => redis.dbsize())).toBe(0);
  expect(await withRedis(inDatabase(foreign), (redis) => redis.get("somebody"))).toBe("else's");
});

test("a claim is renewed while its process lives, also after a test has emptied its database", async () => {
  const claimed = await claimRedis(server.url);
  const database = new URL(claimed.url).pathname.slice(1);
  await withRedis(claimed.url, (redis) => redis.flushdb());
  await withRedis(server.url, (redis) => redis.expire(`postrider-test-database:${database}`, 40));
  await waitFor("the claim is renewed", async () => {
    const left = await withRedis(server.url, (redis) => redis.ttl(`postrider-test-database:${database}`));
    return left > 40 && (await withRedis(claimed.url, (redis) => redis.dbsize())) === 1;
  });
  await claimed.release();
  expect(await withRedis(server.url, (redis) => redis.dbsize())).toBe(0);
});
