import { networkInterfaces } from "node:os";
import { expect, test } from "vitest";
import { addressesOf, runResolver } from "./running-resolver.ts";

/** Not allowed, like the addresses of a resolver with DNS64. */
const UNUSABLE = ["fd00::1"];
const A = ["192.0.2.1"];
const SERVFAIL = { kind: "failed", code: "ESERVFAIL", isSilent: false };

test("a lost packet is waited for if the addresses that did arrive are of no use", async () => {
  const { lookUp } = await runResolver({
    zones: { "shop.example": { aaaa: UNUSABLE, only: { A: { a: A, losesFirst: true } } } },
  });
  expect(addressesOf(await lookUp("shop.example"))).toEqual([...A, ...UNUSABLE]);
});

const hasIPv6 = Object.values(networkInterfaces()).some((own) =>
  own?.some(({ family, address }) => family === "IPv6" && /^[23]/.test(address)),
);
test.skipIf(hasIPv6)("a machine without IPv6 waits for the addresses that it can dial", async () => {
  const { lookUp } = await runResolver({
    zones: { "shop.example": { aaaa: ["2001:db8::1"], only: { A: { a: A, losesFirst: true } } } },
  });
  expect(addressesOf(await lookUp("shop.example"))).toEqual([...A, "2001:db8::1"]);
});

test("a family that fails is a failure if the other one has no usable address, and so if it never answers", async () => {
  const { lookUp } = await runResolver({
    zones: {
      "failing.example": { aaaa: UNUSABLE, only: { A: "servfail" } },
      "lost.example": { aaaa: UNUSABLE, only: { A: "silent" } },
      "half.example": { a: A, only: { AAAA: "servfail" } },
    },
  });
  const [failing, lost, half] = await Promise.all(
    ["failing.example", "lost.example", "half.example"].map((name) => lookUp(name)),
  );
  expect(failing).toEqual(SERVFAIL);
  expect(lost).toEqual({ kind: "failed", code: "ETIMEOUT", isSilent: true });
  expect(addressesOf(half!)).toEqual(A);
});

test("a server that denies the name for IPv6 decides nothing for IPv4", async () => {
  const { lookUp } = await runResolver({
    zones: {
      "slow.example": { a: A, afterMs: 600, only: { AAAA: "nxdomain" } },
      "failing.example": { only: { A: "servfail", AAAA: "nxdomain" } },
    },
  });
  expect(addressesOf(await lookUp("slow.example"))).toEqual(A);
  expect(await lookUp("failing.example")).toEqual(SERVFAIL);
});

test("of a name with hundreds of addresses, 16 of each family are remembered", async () => {
  const a = Array.from({ length: 300 }, (_, index) => `192.0.2.${index % 250}`);
  const { dns, lookUp } = await runResolver({ zones: { "large.example": { a, needsTcp: true } } });
  expect(await lookUp("large.example")).toMatchObject({ kind: "found", ttlMs: 60_000 });
  const asked = dns.questions.length;
  expect(addressesOf(await lookUp("large.example"))).toHaveLength(16);
  expect(dns.questions).toHaveLength(asked);
});
