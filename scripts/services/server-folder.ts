import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { canReach, ownerOf, unprivilegedAccount } from "./account.ts";
import type { Account } from "./processes.ts";

/** A folder that a server may use, and whom it runs as there. */
export interface ServerFolder {
  folder: string;
  account: Account | undefined;
}

/**
 * Makes the folder of a server, or takes the one there is with the account that owns it. Where the server's account
 * could not reach it (a checkout below /root, say), another is made below /var/lib.
 */
export async function serverFolder(wanted: string): Promise<ServerFolder> {
  if (existsSync(wanted)) {
    const owner = ownerOf(wanted);
    if (owner && canReach(dirname(wanted), owner)) return { folder: wanted, account: owner };
  }
  const account = await unprivilegedAccount("postgres");
  const parent = dirname(wanted);
  mkdirSync(parent, { recursive: true });
  // Ours alone, but for passing through to the server's own folder.
  if (account) chmodSync(parent, 0o711);
  const isReachable = !account || canReach(parent, account);
  return { folder: own(isReachable ? wanted : join(elsewhere(), "server"), account), account };
}

/** A new folder for a server that lives for a short while, below this one if its account can get there. */
export async function throwawayFolder(parent: string, prefix: string): Promise<ServerFolder> {
  const account = await unprivilegedAccount("postgres");
  mkdirSync(parent, { recursive: true });
  const reachable = !account || canReach(parent, account) ? parent : tmpdir();
  return { folder: own(mkdtempSync(join(reachable, prefix)), account), account };
}

function own(folder: string, account: Account | undefined): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (account) chownSync(folder, account.uid, account.gid);
  return folder;
}

/** Survives a reboot, which the temporary folder might not. */
function elsewhere(): string {
  const base = ["/var/lib", "/var/tmp"].find((folder) => existsSync(folder)) ?? tmpdir();
  const folder = mkdtempSync(join(base, "postrider-"));
  chmodSync(folder, 0o711);
  return folder;
}
