import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { canReach, ownerOf, unprivilegedAccount } from "./account.ts";
import type { Account } from "./processes.ts";

/** A server's folder, and the account that the server runs as. */
export interface ServerFolder {
  folder: string;
  account: Account | undefined;
}

/**
 * Creates a server's folder, or reuses an existing one with the account that owns it. If the account can't access the
 * folder (for example a checkout below /root), another one is created below /var/lib.
 */
export async function serverFolder(wanted: string): Promise<ServerFolder> {
  if (existsSync(wanted)) {
    const owner = ownerOf(wanted);
    if (owner && canReach(dirname(wanted), owner)) return { folder: wanted, account: owner };
  }
  const account = await unprivilegedAccount("postgres");
  const parent = dirname(wanted);
  mkdirSync(parent, { recursive: true });
  // Private, except for entering the server's own folder.
  if (account) chmodSync(parent, 0o711);
  const isReachable = !account || canReach(parent, account);
  return { folder: own(isReachable ? wanted : join(createSharedFolder(), "server"), account), account };
}

/** Creates the folder of a throwaway server, below `parent` if its account can access that. */
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

/** Outside of the temporary folder, which may be cleared at a reboot. */
function createSharedFolder(): string {
  const base = ["/var/lib", "/var/tmp"].find((folder) => existsSync(folder)) ?? tmpdir();
  const folder = mkdtempSync(join(base, "postrider-"));
  chmodSync(folder, 0o711);
  return folder;
}
