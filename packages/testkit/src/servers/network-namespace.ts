import { execFileSync } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";

/** A network namespace of its own, joined to this machine's by a cable with an address at each end. */
export interface NetworkNamespace {
  /** In this machine's namespace, where clients may use all of them. Nobody else can reach them. */
  readonly outside: readonly [string, string, string];
  readonly inside: string;
  /** Words before a command that runs it inside. */
  readonly prefix: readonly string[];
  remove: () => void;
}

/** @throws Error if this account or this machine cannot have one (Linux, root, the program `ip`) */
export function createNetworkNamespace(): NetworkNamespace {
  const name = `postrider-${randomBytes(4).toString("hex")}`;
  const [near, far] = [`${name.slice(-8)}-o`, `${name.slice(-8)}-i`];
  // From the range for tests of networks (RFC 2544), so that it hides no real host. Eight addresses.
  const network = `198.18.${randomInt(256)}`;
  const first = randomInt(32) * 8;
  const address = (n: number) => `${network}.${first + n}`;
  const remove = () => {
    process.off("exit", remove);
    try {
      // Its end of the cable goes with it, and so does the other one.
      ip("netns", "delete", name);
    } catch {
      // It is gone already.
    }
  };
  ip("netns", "add", name);
  process.once("exit", remove);
  try {
    ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name);
    for (const n of [1, 3, 4]) ip("address", "add", `${address(n)}/29`, "dev", near);
    ip("-n", name, "address", "add", `${address(2)}/29`, "dev", far);
    ip("link", "set", near, "up");
    ip("-n", name, "link", "set", far, "up");
    ip("-n", name, "link", "set", "lo", "up");
  } catch (error) {
    remove();
    throw error;
  }
  return {
    outside: [address(1), address(3), address(4)],
    inside: address(2),
    prefix: [IP, "netns", "exec", name],
    remove,
  };
}

const IP = "ip";
const ip = (...args: string[]): Buffer => execFileSync(IP, args, { stdio: "pipe" });

/** @returns undefined where `createNetworkNamespace` works, or why it does not */
export function whyNoNetworkNamespace(): string | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "network namespaces need root on Linux";
  try {
    createNetworkNamespace().remove();
    return undefined;
  } catch (error) {
    return `no network namespace: ${(error as Error).message.replaceAll("\n", " ")}`;
  }
}
