import { networkInterfaces } from "node:os";
import { expect, test } from "vitest";
import { isOwnPort } from "./own-ports.ts";

const ports = new Set([9100]);

test("every address of this machine leads to its own ports", () => {
  const interfaces = Object.values(networkInterfaces()).flatMap((addresses) =>
    addresses!.map(({ address }) => address),
  );
  for (const own of ["127.0.0.1", "127.8.9.10", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", ...interfaces]) {
    expect([own, isOwnPort(ports, own, 9100)]).toEqual([own, true]);
    expect([own, isOwnPort(ports, own, 9101)]).toEqual([own, false]);
  }
});

test("the same port of another machine is not one of them", () => {
  for (const other of ["192.0.2.1", "2001:db8::1", "10.255.255.254"]) {
    expect([other, isOwnPort(ports, other, 9100)]).toEqual([other, false]);
  }
});
