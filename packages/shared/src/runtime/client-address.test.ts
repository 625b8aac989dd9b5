import type { IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { parseNetworks, type Networks } from "../core/networks.ts";
import { createClientAddress, isTrustedProxy } from "./client-address.ts";

function clientOf(trusted: string, remoteAddress: string | undefined, forwardedFor?: string): string {
  const request = { socket: { remoteAddress }, headers: { "x-forwarded-for": forwardedFor } };
  return createClientAddress(parseNetworks(trusted) as Networks)(request as unknown as IncomingMessage);
}

test("a forged X-Forwarded-For of a client that is not a trusted proxy changes nothing", () => {
  expect(clientOf("", "192.0.2.1", "198.51.100.7")).toBe("192.0.2.1");
  expect(clientOf("", "127.0.0.1", "198.51.100.7")).toBe("127.0.0.1");
  expect(clientOf("10.0.0.0/8", "192.0.2.1", "198.51.100.7")).toBe("192.0.2.1");
});

test("of a trusted proxy's X-Forwarded-For only the proxy's own entry counts", () => {
  expect(clientOf("10.0.0.2", "10.0.0.2", "198.51.100.7")).toBe("198.51.100.7");
  expect(clientOf("10.0.0.2", "10.0.0.2", "203.0.113.9, 10.0.0.2, 198.51.100.7")).toBe("198.51.100.7");
  expect(clientOf("127.0.0.0/8", "127.0.0.1", "203.0.113.9, 127.0.0.1")).toBe("127.0.0.1");
  expect(clientOf("::1", "::1", "203.0.113.9, ::1")).toBe("::1");
});

test("a chain of trusted proxies leads to the client of the first one", () => {
  expect(clientOf("10.0.0.0/8", "10.0.0.2", "203.0.113.9, 198.51.100.7, 10.0.0.3")).toBe("198.51.100.7");
  expect(clientOf("10.0.0.2, 2001:db8::/32", "10.0.0.2", "198.51.100.7, 2001:db8::3")).toBe("198.51.100.7");
});

test("what is not an address leaves the last one that is", () => {
  expect(clientOf("10.0.0.2", "10.0.0.2")).toBe("10.0.0.2");
  expect(clientOf("10.0.0.2", "10.0.0.2", "")).toBe("10.0.0.2");
  for (const entry of ["unknown", "_hidden", "1", "0x7f000001", "198.51.100.7, ", "<script>", "1.2.3.4.5"]) {
    expect([entry, clientOf("10.0.0.2", "10.0.0.2", entry)]).toEqual([entry, "10.0.0.2"]);
  }
  expect(clientOf("10.0.0.0/8", "10.0.0.2", "198.51.100.7, unknown, 10.0.0.3")).toBe("10.0.0.3");
  expect(clientOf("10.0.0.2", undefined, "198.51.100.7")).toBe("unknown");
});

test("addresses are shown in one form, without port, zone or mapping", () => {
  expect(clientOf("10.0.0.2", "::ffff:10.0.0.2", "198.51.100.7:4711")).toBe("198.51.100.7");
  expect(clientOf("10.0.0.2", "10.0.0.2", "[2001:DB8:0:0::1]:4711")).toBe("2001:db8::1");
  expect(clientOf("10.0.0.2", "10.0.0.2", "::ffff:198.51.100.7")).toBe("198.51.100.7");
  expect(clientOf("", "fe80::1%eth0")).toBe("fe80::1");
});

test("a proxy is trusted by its own address only", () => {
  const trusted = parseNetworks("10.0.0.2, fd00::/8") as Networks;
  const addresses = ["10.0.0.2", "::ffff:10.0.0.2", "fd00::7", "10.0.0.3", "::1", undefined];
  expect(addresses.map((address) => isTrustedProxy(trusted, address))).toEqual([true, true, true, false, false, false]);
});
