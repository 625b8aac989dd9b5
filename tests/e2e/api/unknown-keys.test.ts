import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import type { Problem } from "@postrider/testkit/client/types.ts";
import { newTenant } from "@postrider/testkit/factories/events.ts";
import { useStack } from "@postrider/testkit/vitest.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { addTenantKey } from "../tenant-key.ts";

const e2e = useStack({ workers: 0 });

const list = (key: string, headers: Record<string, string> = {}) =>
  e2e.api.call<Problem>("GET", "/v1/subscriptions", { key, headers });
const unknown = () => randomBytes(24).toString("hex");

test("an address that guesses keys is refused for a while, and right keys of the same address are not", async () => {
  const known = await addTenantKey(e2e.stack.databaseUrl, newTenant());
  expect(await list(unknown())).toMatchObject({ status: 401, body: { code: "unauthorized" } });
  // A client that is not a trusted proxy chooses no address.
  const guess = (n: number) => list(unknown(), { "x-forwarded-for": `192.0.2.${n % 250}`, forwarded: "for=192.0.2.1" });
  const refused = await waitFor("too many keys were unknown", async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => guess(n)));
    return answers.find(({ status }) => status === 429);
  });
  expect(refused.body.code).toBe("too_many_unknown_keys");
  const wait = Number(refused.headers.get("retry-after"));
  expect(wait).toBeGreaterThan(0);
  expect(wait).toBeLessThanOrEqual(60);
  // Also a key that this process has not seen yet, amid others that it does not know.
  const during = await Promise.all([
    ...Array.from({ length: 50 }, () => list(unknown())),
    list(known),
    list(e2e.api.key),
  ]);
  expect(during.slice(-2).map(({ status }) => status)).toEqual([200, 200]);
  expect((await e2e.api.call("GET", "/v1/subscriptions", { key: null })).status).toBe(401);
});
