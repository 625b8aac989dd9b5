import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isAllowedAddress } from "./address-rules.ts";
import { Networks, parseNetworks } from "./networks.ts";

function networks(text: string): Networks {
  const parsed = parseNetworks(text);
  if ("problem" in parsed) throw new Error(parsed.problem);
  return parsed;
}

const addressRules = ({ allowed = "", denied = "" } = {}) => ({ allowed: networks(allowed), denied: networks(denied) });

const none = addressRules();
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

/** 10.0.0.1 in all forms that embed it. */
const EMBEDDED_10_0_0_1 = `
  10.0.0.1 ::ffff:10.0.0.1 ::ffff:a00:1 ::10.0.0.1 ::ffff:0:10.0.0.1 64:ff9b::a00:1 2002:a00:1:: 2002:a00:1::1
  2001:0:808:808::f5ff:fffe fd00::5efe:a00:1 2606:4700::200:5efe:a00:1
`;

const CLOUD_SERVICES = words(`
  169.254.169.254 169.254.170.2 169.254.170.23 169.254.169.252 169.254.0.23 169.254.42.42 168.63.129.16 100.100.100.200
  100.96.0.96 192.0.0.192 fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fd00:c1::a9fe:a9fe fd00:42::42 fd00:a9fe:a9fe::1
  fd00:100::100:200
`);

function expectRules(settings: { allowed?: string; denied?: string }, addresses: string, result: boolean): void {
  for (const address of words(addresses)) {
    expect(isAllowedAddress(address, addressRules(settings)), address).toBe(result);
  }
}

describe("which addresses deliveries may reach", () => {
  test.each(REFUSED)("%s is refused", (address) => expect(isAllowedAddress(address, none)).toBe(false));
  test.each(PUBLIC)("%s is public", (address) => expect(isAllowedAddress(address, none)).toBe(true));
  test.each(NOT_ADDRESSES)("%j is not an address and is refused", (text) => {
    expect(isAllowedAddress(text, none)).toBe(false);
  });

  test("an allowed network is allowed in plain and v4-mapped form, and no other address is", () => {
    const allowed = "127.0.0.0/8, 10.1.2.3, fd00:1::/32";
    expectRules({ allowed }, "127.0.0.1 127.9.9.9 10.1.2.3 fd00:1::7 ::ffff:127.0.0.1 ::ffff:7f00:1", true);
    expectRules({ allowed }, "10.1.2.4 128.0.0.0.1 fd00:2::7 ::1 ::7f00:1 64:ff9b::7f00:1 2002:7f00:1::", false);
  });

  test("allowing all of IPv4 allows no IPv6 address, and a zone id is refused even in an allowed network", () => {
    const allowed = "0.0.0.0/0, fe80::/10";
    expectRules({ allowed }, "::1 fd00::1 ::7f00:1 64:ff9b::a00:1 fe80::1%eth0", false);
    expectRules({ allowed }, "fe80::1", true);
  });

  test("allowing all of IPv6 allows no IPv4 address, in no form", () => {
    const allowed = "::/0, ::/1, 2000::/3, 64:ff9b::/96, 2002::/16, 2001::/32";
    expectRules({ allowed }, EMBEDDED_10_0_0_1, false);
    expectRules({ allowed }, `127.0.0.1 ::127.0.0.1 fd00::5efe:7f00:1 64:ff9b:1::808:808 :: `, false);
    // Teredo: of its server, too. The client is 8.8.8.8.
    expectRules({ allowed }, "2001:0:a00:1::f7f7:f7f7", false);
    expectRules({ allowed }, "::1 fd00::1 fe80::1 64:ff9b::808:808 2002:808:808:: 2001:0:808:808::f7f7:f7f7", true);
  });

  test("a form that embeds an IPv4 address needs both to be allowed", () => {
    expectRules({ allowed: "10.0.0.0/8" }, "10.0.0.1 ::ffff:10.0.0.1", true);
    expectRules({ allowed: "10.0.0.0/8" }, "64:ff9b::a00:1 2002:a00:1:: ::10.0.0.1 fd00::5efe:a00:1", false);
    expectRules({ allowed: "10.0.0.0/8, ::/0" }, EMBEDDED_10_0_0_1, true);
  });

  test.each(CLOUD_SERVICES)("the cloud's %s is refused in any network, until it is named by itself", (address) => {
    const allowed = "0.0.0.0/0, ::/0, 169.254.0.0/16, fd00::/8, 100.64.0.0/10, 168.63.129.0/24";
    expect(isAllowedAddress(address, addressRules({ allowed }))).toBe(false);
    expect(isAllowedAddress(address, addressRules())).toBe(false);
    expect(isAllowedAddress(address, addressRules({ allowed: `${allowed},${address}` }))).toBe(true);
    const bits = address.includes(":") ? 128 : 32;
    expect(isAllowedAddress(address, addressRules({ allowed: `${address}/${bits}` }))).toBe(true);
    if (bits === 32) {
      for (const form of [`::ffff:${address}`, `64:ff9b::${address}`]) {
        expect(isAllowedAddress(form, addressRules({ allowed }))).toBe(false);
        expect(isAllowedAddress(form, addressRules({ allowed: `${allowed},${address}` }))).toBe(true);
      }
    }
  });

  test("a denied network is refused, public or allowed, but for an address that is named by itself", () => {
    const denied = "8.8.0.0/16, 10.0.0.0/16, 2606:4700::/32, fd00::/16";
    const allowed = "10.0.0.0/8, fd00::/8, 10.0.0.7, FD00:0::7, 64:ff9b::/96";
    expectRules({ denied, allowed }, "8.8.8.8 ::ffff:8.8.8.8 64:ff9b::808:808 10.0.0.1 2606:4700::1 fd00::1", false);
    expectRules({ denied, allowed }, "8.9.8.8 10.1.0.1 fd01::1 10.0.0.7 ::ffff:10.0.0.7 fd00::7", true);
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
    expect(isAllowedAddress("10.0.0.1", addressRules({ allowed: "" }))).toBe(false);
    expect(parseNetworks(" , ")).toBeInstanceOf(Networks);
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
    "::ffff:10.0.0.0/104",
    "::FFFF:a00:1",
  ])("names the invalid entry %j", (entry) =>
    expect(parseNetworks(`127.0.0.0/8, ${entry}`)).toEqual({ problem: expect.stringContaining(`"${entry}"`) }),
  );
});
