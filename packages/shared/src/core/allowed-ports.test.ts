import { expect, test } from "vitest";
import { AllowedPorts, parsePorts, portOf } from "./allowed-ports.ts";

function ports(text: string): AllowedPorts {
  const parsed = parsePorts(text);
  if ("problem" in parsed) throw new Error(parsed.problem);
  return parsed;
}

test("80, 443 and those from 1024 on are allowed, less the bad ports of the Fetch Standard", () => {
  const allowed = ports("80,443,1024-65535");
  for (const port of [80, 443, 1024, 3000, 8080, 8443, 65_535]) expect(allowed.has(port), `${port}`).toBe(true);
  const refused = [0, 1, 22, 25, 81, 444, 1023, 2049, 3659, 4045, 4190, 5060, 6000, 6667, 6697, 10_080, 65_536];
  for (const port of refused) expect(allowed.has(port), `${port}`).toBe(false);
});

test("a bad port is allowed where it is named by itself", () => {
  expect(ports("1-65535").has(6_000)).toBe(false);
  expect(ports("1-65535, 6000").has(6_000)).toBe(true);
  expect(ports("25-25").has(25)).toBe(true);
});

test.each(["", "0", "80,", "65536", "-1", "80-", "90-80", "1-65536", "http", "80.5", "1e3"])(
  "names the invalid entry of %j",
  (text) => expect(parsePorts(text)).toEqual({ problem: expect.stringContaining("is not a port") }),
);

test("a URL without a port has its protocol's", () => {
  const of = (url: string) => portOf(new URL(url));
  expect([of("http://a/"), of("https://a/"), of("http://a:443/"), of("https://a:8443/")]).toEqual([80, 443, 443, 8443]);
});
