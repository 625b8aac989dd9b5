import { BlockList } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isAllowedAddress, parseNetworks } from "./address-rules.ts";

const none = new BlockList();
const words = (text: string): string[] => text.trim().split(/\s+/);

/** Non-public addresses in all forms that are known to bypass some address check. */
const REFUSED = words(`
  0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254 169.254.0.1
  169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.170 192.0.2.1 192.31.196.1 192.52.193.1
  192.88.99.1 192.168.0.1 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1
  239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::2 ::7f00:1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1
  ::ffff:7f00:1 ::ffff:10.0.0.1 ::FFFF:169.254.169.254 0:0:0:0:0:ffff:7f00:0001
  0000:0000:0000:0000:0000:0000:0000:0001 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::8.8.8.8 64:ff9b:1::1
  100::1 100:0:0:1::1 2001::1 2001:0:7f00:1:: 2001:10::1 2001:20::1 2001:2::1 2001:db8::1 2002:7f00:1::
  2002:808:808::1 2620:4f:8000::1 3fff::1 3fff:fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0
  febf::1 fec0::1 feff::1 ff02::1 ff0e::1 2606:4700::5efe:7f00:1 2606:4700::100:5efe:a00:1
  2606:4700::200:5efe:a00:1 2606:4700::300:5efe:a00:1 2606:4700::5efe:8.8.8.8 2001:1ff::1 4000::1 8000::1 1::1
`);

const PUBLIC = words(`
  1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 172.15.255.255
  172.32.0.0 192.0.1.1 192.167.255.255 198.17.255.255 198.20.0.0 223.255.255.255 2606:4700:4700::1111
  2001:4860:4860::8888 2a00:1450:4001::1 2001:200::1 2003::1 2606:4700::400:5efe:a00:1 ::ffff:8.8.8.8
  ::ffff:808:808
`);

const NOT_ADDRESSES = [
  "",
  "localhost",
  "127.1",
  "0x7f.1",
  "2130706433",
  "017700000001",
  "1.2.3",
  "1.2.3.4.5",
  "[::1]",
  "::1/128",
  " 8.8.8.8",
  "8.8.8.8 ",
  "１.1.1.1",
];

describe("which addresses deliveries may reach", () => {
  test.each(REFUSED)("%s is refused", (address) => expect(isAllowedAddress(address, none)).toBe(false));
  test.each(PUBLIC)("%s is public", (address) => expect(isAllowedAddress(address, none)).toBe(true));
  test.each(NOT_ADDRESSES)("%j is not an address and is refused", (text) => {
    expect(isAllowedAddress(text, none)).toBe(false);
  });

  test("an allowed network is allowed in plain and v4-mapped form, and no other address is", () => {
    const allowed = parseNetworks("127.0.0.0/8, 10.1.2.3, fd00:1::/32") as BlockList;
    for (const address of ["127.0.0.1", "127.9.9.9", "10.1.2.3", "fd00:1::7", "::ffff:127.0.0.1", "::ffff:7f00:1"]) {
      expect(isAllowedAddress(address, allowed), address).toBe(true);
    }
    for (const address of [
      "10.1.2.4",
      "128.0.0.0.1",
      "fd00:2::7",
      "::1",
      "::7f00:1",
      "64:ff9b::7f00:1",
      "2002:7f00:1::",
    ]) {
      expect(isAllowedAddress(address, allowed), address).toBe(false);
    }
  });

  test("a form that embeds an IPv4 address is allowed only by a network of that form", () => {
    const allowed = parseNetworks("64:ff9b::/96, 2002:a00::/24") as BlockList;
    for (const address of ["64:ff9b::a00:1", "2002:a00:1::"]) expect(isAllowedAddress(address, allowed)).toBe(true);
    for (const address of ["10.0.0.1", "::ffff:10.0.0.1"]) expect(isAllowedAddress(address, allowed)).toBe(false);
  });

  test("a network of v4-mapped addresses allows the IPv4 network in both forms, and no other address", () => {
    const allowed = parseNetworks("::ffff:10.0.0.0/104") as BlockList;
    for (const address of ["10.9.9.9", "::ffff:10.9.9.9"]) expect(isAllowedAddress(address, allowed)).toBe(true);
    for (const address of ["127.0.0.1", "::ffff:127.0.0.1", "::10.9.9.9"]) {
      expect(isAllowedAddress(address, allowed), address).toBe(false);
    }
  });

  test("allowing all of IPv4 allows no IPv6 address, and a zone id is refused even in an allowed network", () => {
    const allowed = parseNetworks("0.0.0.0/0, fe80::/10") as BlockList;
    for (const address of ["::1", "fd00::1", "::7f00:1", "64:ff9b::a00:1", "fe80::1%eth0"]) {
      expect(isAllowedAddress(address, allowed), address).toBe(false);
    }
    expect(isAllowedAddress("fe80::1", allowed)).toBe(true);
  });

  test("the v4-mapped and the plain form of any IPv4 address give the same result", () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        expect(isAllowedAddress(`::ffff:${address}`, none)).toBe(isAllowedAddress(address, none));
      }),
    );
  });
});

describe("a list of networks", () => {
  test("may be empty", () => {
    expect(isAllowedAddress("10.0.0.1", parseNetworks("") as BlockList)).toBe(false);
    expect(parseNetworks(" , ")).toBeInstanceOf(BlockList);
  });

  test.each([
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0/8",
    "fd00::/129",
    "localhost",
    "10.0.0.0/8/8",
    "10.0.0.0/-1",
    "fe80::1%eth0/64",
  ])("names the invalid entry %j", (entry) =>
    expect(parseNetworks(`127.0.0.0/8, ${entry}`)).toEqual({ problem: expect.stringContaining(`"${entry}"`) }),
  );
});
