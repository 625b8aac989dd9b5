import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { startDnsServer } from "@postrider/testkit/servers/dns.ts";
import { waitFor } from "@postrider/testkit/wait.ts";
import { addressesOf, runResolver } from "./running-resolver.ts";

const NOT_FOUND = { kind: "not_found" };

test("both families are asked for, as an absolute name, and look-ups of one name are shared", async () => {
  const zones = { "shop.example": { a: ["192.0.2.1", "192.0.2.2"], aaaa: ["2001:db8::1"], afterMs: 50 } };
  const { dns, lookUp } = await runResolver({ zones });
  const results = await Promise.all(["shop.example", "SHOP.example", "shop.example."].map((host) => lookUp(host)));
  for (const result of results) expect(addressesOf(result)).toEqual(["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
  expect(dns.questions.filter((one) => one.includes("shop")).sort()).toEqual(["A shop.example", "AAAA shop.example"]);
  await lookUp("intranet");
  expect(dns.questions.filter((one) => one.includes("intranet")).sort()).toEqual(["A intranet", "AAAA intranet"]);
});

test("an answer is used for its TTL, and then a changed address is found", async () => {
  const { dns, lookUp } = await runResolver({
    zones: { "shop.example": { a: ["192.0.2.1"], ttl: 1 }, "long.example": { a: ["192.0.2.9"], ttl: 86_400 } },
  });
  await Promise.all([lookUp("shop.example"), lookUp("long.example")]);
  const asked = dns.questions.length;
  dns.set("shop.example", { a: ["192.0.2.2"], ttl: 1 });
  dns.set("long.example", { a: ["192.0.2.8"] });
  expect(addressesOf(await lookUp("shop.example"))).toEqual(["192.0.2.1"]);
  expect(dns.questions).toHaveLength(asked);
  await waitFor("the new address is found", async () => {
    const [address] = addressesOf(await lookUp("shop.example")) as string[];
    return address === "192.0.2.2";
  });
  expect(addressesOf(await lookUp("long.example"))).toEqual(["192.0.2.9"]);
});

test("a name with addresses of one family only is found", async () => {
  const { lookUp } = await runResolver({
    zones: {
      "six.example": { aaaa: ["2001:db8::6"] },
      "four.example": { a: ["192.0.2.4"] },
      "broken.example": { a: ["192.0.2.5"], only: { AAAA: "silent" } },
    },
  });
  expect(addressesOf(await lookUp("six.example"))).toEqual(["2001:db8::6"]);
  expect(addressesOf(await lookUp("four.example"))).toEqual(["192.0.2.4"]);
  expect(addressesOf(await lookUp("broken.example"))).toEqual(["192.0.2.5"]);
});

test("an answer that is too large for UDP is asked for over TCP", async () => {
  const a = Array.from({ length: 16 }, (_, index) => `192.0.2.${index}`);
  const { lookUp } = await runResolver({ zones: { "large.example": { a, needsTcp: true } } });
  expect(addressesOf(await lookUp("large.example"))).toEqual(a.toSorted());
});

test("a name that does not exist, has no address or cannot exist is not found, which is remembered for a while", async () => {
  const { dns, lookUp } = await runResolver({ zones: { "mail.example": {} } });
  const names = ["nobody.example", "mail.example", `${"x".repeat(300)}.example`];
  for (const name of names) expect(await lookUp(name)).toEqual(NOT_FOUND);
  const asked = dns.questions.length;
  for (const name of names) expect(await lookUp(name)).toEqual(NOT_FOUND);
  expect(dns.questions).toHaveLength(asked);
  dns.set("nobody.example", { a: ["192.0.2.1"] });
  await waitFor("the new name is found", async () => (await lookUp("nobody.example")).kind === "found");
});

test.each(["servfail", "refused", "silent"] as const)("the second server is asked if the first is %s", async (zone) => {
  const second = await startDnsServer({ "shop.example": { a: ["192.0.2.1"] }, "other.example": { a: ["192.0.2.2"] } });
  onTestFinished(() => second.close());
  const { dns, lookUp } = await runResolver({ others: [second.address] });
  dns.override = zone;
  expect(addressesOf(await lookUp("shop.example"))).toEqual(["192.0.2.1"]);
  // It is asked first now.
  const asked = dns.questions.length;
  expect(addressesOf(await lookUp("other.example"))).toEqual(["192.0.2.2"]);
  expect(dns.questions.slice(asked).filter((question) => question.includes("other"))).toEqual([]);
});

test("names of the hosts file are found there, also after a change, and localhost is never asked for", async () => {
  const folder = mkdtempSync(join(tmpdir(), "postrider-hosts-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const hostsFile = join(folder, "hosts");
  writeFileSync(hostsFile, "# names\n10.0.0.1 Shop shop.internal # old\n::1 six\n10.0.0.2 shop\nnot-an-address x\n");
  const { dns, lookUp } = await runResolver({ hostsFile });
  expect(addressesOf(await lookUp("shop"))).toEqual(["10.0.0.1", "10.0.0.2"]);
  expect(addressesOf(await lookUp("SHOP.internal."))).toEqual(["10.0.0.1"]);
  expect(addressesOf(await lookUp("six"))).toEqual(["::1"]);
  expect(addressesOf(await lookUp("localhost"))).toEqual(["127.0.0.1", "::1"]);
  expect(addressesOf(await lookUp("shop.localhost"))).toEqual(["127.0.0.1", "::1"]);
  expect(await lookUp("nobody.invalid")).toEqual(NOT_FOUND);
  expect(addressesOf(await lookUp("192.0.2.1"))).toEqual(["192.0.2.1"]);
  expect(dns.questions).toEqual([]);
  writeFileSync(hostsFile, "10.0.0.3 shop\n127.0.0.5 localhost\n");
  await waitFor("the changed file is read", async () => {
    const [address] = addressesOf(await lookUp("shop")) as string[];
    return address === "10.0.0.3";
  });
  expect(addressesOf(await lookUp("shop.localhost"))).toEqual(["127.0.0.5"]);
  expect(await lookUp("shop.internal")).toEqual(NOT_FOUND);
});
