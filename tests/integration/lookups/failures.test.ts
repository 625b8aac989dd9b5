import { expect, test } from "vitest";
import { freePort } from "@postrider/testkit/processes/ports.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { addressesOf, runResolver } from "./running-resolver.ts";

const NO_SERVER = { kind: "unavailable", reason: "no_server", retryInMs: expect.any(Number) as number };

test("name servers that do not answer, or fail, are to blame while ours answer for the root; that is remembered", async () => {
  const { dns, lookUp, lines } = await runResolver({
    zones: { "silent.example": "silent", "failing.example": "servfail", "refused.example": "refused" },
  });
  const names = ["silent.example", "failing.example", "refused.example"];
  const results = await Promise.all(names.map((name) => lookUp(name)));
  expect(results).toEqual([
    { kind: "failed", code: "ETIMEOUT", isSilent: true },
    { kind: "failed", code: "ESERVFAIL", isSilent: false },
    { kind: "failed", code: "EREFUSED", isSilent: false },
  ]);
  // An error may be over at once, so the question is repeated.
  expect(dns.questions.filter((question) => question === "A failing.example")).toHaveLength(2);
  const asked = dns.questions.length;
  expect((await lookUp("silent.example")).kind).toBe("failed");
  expect(dns.questions).toHaveLength(asked);
  expect(lines).toEqual([]);
});

test.each(["silent", "servfail", "refused"] as const)(
  "servers that are %s for everything, the root included, are our own trouble, and it ends when they answer",
  async (zone) => {
    const { dns, lookUp, lines } = await runResolver({ zones: { "shop.example": { a: ["192.0.2.1"] } } });
    expect((await lookUp("nobody.example")).kind).toBe("not_found");
    await waitFor("the root is asked for", () => dns.questions.some((question) => question.startsWith("NS")));
    expect((await lookUp("later.example")).kind).toBe("not_found");
    dns.override = zone;
    // An answer to an earlier question that is late counts for a look-up that has just begun.
    let name = 0;
    await waitFor("no earlier answer is on its way", async () => {
      const { kind } = await lookUp(`other-${(name += 1)}.example`);
      return kind === "unavailable";
    });
    expect(await lookUp("shop.example")).toEqual(NO_SERVER);
    // Nothing of that is remembered of the name.
    expect(await lookUp("shop.example")).toEqual(NO_SERVER);
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { level: "warn", msg: "DNS servers do not answer; deliveries wait for them" },
    ]);
    dns.override = undefined;
    expect(addressesOf(await lookUp("shop.example"))).toEqual(["192.0.2.1"]);
    expect(lines[1]).toContain("DNS servers answer again");
  },
);

test("servers that nothing listens on are our own trouble, and are asked again at the next look-up", async () => {
  const { dns, lookUp } = await runResolver({ zones: { "shop.example": { a: ["192.0.2.1"] } } });
  await dns.close();
  expect(await lookUp("shop.example")).toEqual(NO_SERVER);
  dns.close = () => Promise.resolve();
});

test("a server of a closed network that does not know the root is not to blame for the names of others", async () => {
  const { lookUp } = await runResolver({
    zones: { "intern.example": { a: ["192.0.2.1"] }, "shop.example": "refused", ".": "refused" },
  });
  await lookUp("intern.example");
  expect(await lookUp("shop.example")).toMatchObject({ kind: "failed", code: "EREFUSED" });
});

test("an unreachable server beside one that works is no trouble", async () => {
  const { dns, lookUp } = await runResolver({
    others: [`127.0.0.1:${await freePort()}`],
    zones: { "dead.example": "silent" },
  });
  expect(await lookUp("dead.example")).toMatchObject({ kind: "failed" });
  expect(dns.questions).toContain("A dead.example");
});

test("a caller gets a result before its own time is over, and a look-up without callers ends", async () => {
  const { lookUp, resolver, count } = await runResolver({ zones: { "dead.example": "silent" } });
  await lookUp("nobody.example");
  const leave = resolver.lookUp({ host: "dead.example", tenant: "default", timeoutMs: 60_000 }, () => undefined);
  expect(await count()).toEqual({ underWay: 1, waiting: 0 });
  expect(await lookUp("dead.example", { timeoutMs: 700 })).toEqual({
    kind: "failed",
    code: "ETIMEOUT",
    isSilent: true,
  });
  expect(await count()).toEqual({ underWay: 1, waiting: 0 });
  leave();
  expect(await count()).toEqual({ underWay: 0, waiting: 0 });
});

test("a tenant with hundreds of names that are never answered delays no other tenant and no name that resolved", async () => {
  const { dns, lookUp, count } = await runResolver({
    zones: {
      "silent.example": "silent",
      "shop.example": { a: ["192.0.2.1"], ttl: 1 },
      "new.example": { a: ["192.0.2.2"] },
    },
  });
  const ofDead = { tenant: "dead" };
  await lookUp("shop.example", ofDead);
  const dead = Array.from({ length: 300 }, (_, index) => lookUp(`${index}.silent.example`, ofDead));
  expect(await count()).toEqual({ underWay: 48, waiting: 252 });
  expect(addressesOf(await lookUp("new.example"))).toEqual(["192.0.2.2"]);
  dns.set("shop.example", { a: ["192.0.2.3"] });
  await waitFor("its name that has resolved is looked up again", async () => {
    const [address] = addressesOf(await lookUp("shop.example", ofDead)) as string[];
    return address === "192.0.2.3";
  });
  const kinds = (await Promise.all(dead)).map((result) =>
    result.kind === "unavailable" ? result.reason : result.kind,
  );
  expect(kinds.filter((kind) => kind === "failed")).toHaveLength(48);
  expect(kinds.filter((kind) => kind === "busy")).toHaveLength(252);
  expect(await count()).toEqual({ underWay: 0, waiting: 0 });

  // Names that have failed leave most places to names that have not been looked up yet.
  await waitFor("the failures are forgotten", async () => {
    const again = Array.from({ length: 48 }, (_, index) => lookUp(`${index}.silent.example`, ofDead));
    const { underWay, waiting } = await count();
    if (underWay + waiting < 48) return false;
    expect({ underWay, waiting }).toEqual({ underWay: 16, waiting: 32 });
    expect(addressesOf(await lookUp("fresh.new.example", ofDead))).toEqual(["192.0.2.2"]);
    await Promise.all(again);
    return true;
  });
});
