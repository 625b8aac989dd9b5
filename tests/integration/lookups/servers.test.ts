import { afterEach, expect, test, vi } from "vitest";
import { waitFor } from "@postrider/testkit/wait.ts";
import { addressesOf, runResolver } from "./running-resolver.ts";

const NO_SERVER = { kind: "unavailable", reason: "no_server", retryInMs: expect.any(Number) as number };
const SILENCE = { kind: "failed", code: "ETIMEOUT", isSilent: true };
const REFUSED = { kind: "failed", code: "EREFUSED", isSilent: false };
const MINUTE_MS = 60_000;

afterEach(() => void vi.restoreAllMocks());

/** Lets that much time pass, for what compares times. */
function leap(ms: number): void {
  const now = performance.now.bind(performance);
  vi.spyOn(performance, "now").mockImplementation(() => now() + ms);
}

test("after an outage of ours, names whose servers never answer are attempted again", async () => {
  const { dns, lookUp } = await runResolver({ zones: { "silent.example": "silent" } });
  await lookUp("nobody.example");
  dns.override = "silent";
  expect(await lookUp("any.silent.example")).toEqual(NO_SERVER);
  dns.override = undefined;
  await waitFor("it is attempted", async () => {
    const result = await lookUp("any.silent.example");
    if (result.kind === "failed") expect(result).toEqual(SILENCE);
    return result.kind === "failed";
  });
});

test("a caller with little time learns of silent name servers, which is remembered for such callers only", async () => {
  const { dns, lookUp } = await runResolver({
    zones: { "silent.example": "silent", "slow.example": { a: ["192.0.2.1"], afterMs: 800 } },
  });
  for (const timeoutMs of [10, 300, 550]) {
    const host = `${timeoutMs}.silent.example`;
    expect(await lookUp(host, { timeoutMs })).toEqual(SILENCE);
    const count = () => dns.questions.filter((question) => question === `A ${host}`).length;
    const asked = count();
    expect(await lookUp(host, { timeoutMs })).toEqual(SILENCE);
    expect(count()).toBe(asked);
  }
  expect(await lookUp("slow.example", { timeoutMs: 300 })).toEqual(SILENCE);
  expect(addressesOf(await lookUp("slow.example"))).toEqual(["192.0.2.1"]);
});

test("while our servers are silent, a caller with little time is not charged", async () => {
  const { dns, lookUp } = await runResolver({ zones: { "shop.example": { a: ["192.0.2.1"] } } });
  await lookUp("nobody.example");
  dns.override = "silent";
  for (const timeoutMs of [1_500, 3_000]) {
    let turn = 0;
    // On a busy machine the question to the root may itself take longer than the caller has.
    await waitFor(`not charged with ${timeoutMs} ms`, async () => {
      turn += 1;
      expect(await lookUp(`${turn}-${timeoutMs}.shop.example`, { timeoutMs })).toEqual(NO_SERVER);
      return true;
    });
  }
});

test("servers that have never had an answer are to blame for their errors, for some minutes", async () => {
  const { dns, lookUp } = await runResolver({ zones: { "shop.example": { a: ["192.0.2.1"] } } });
  dns.override = "refused";
  expect(await lookUp("shop.example")).toEqual(NO_SERVER);
  expect(await lookUp("other.example")).toEqual(NO_SERVER);
  leap(10 * MINUTE_MS);
  expect(await lookUp("shop.example")).toEqual(REFUSED);
});

test("servers that no longer know the root, but other names, are not to blame for ever", async () => {
  const { dns, lookUp } = await runResolver({
    zones: { "shop.example": { a: ["192.0.2.1"] }, "refused.example": "refused" },
  });
  await lookUp("nobody.example");
  await waitFor("the root is asked for", () => dns.questions.some((question) => question.startsWith("NS")));
  expect((await lookUp("later.example")).kind).toBe("not_found");
  dns.set(".", "refused");
  expect(await lookUp("refused.example")).toEqual(NO_SERVER);
  leap(10 * MINUTE_MS);
  expect(await lookUp("refused.example")).toEqual(NO_SERVER);
  expect(addressesOf(await lookUp("shop.example"))).toEqual(["192.0.2.1"]);
  expect(await lookUp("refused.example")).toEqual(REFUSED);
});
