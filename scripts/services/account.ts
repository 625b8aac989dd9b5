import { chownSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { run, type Account } from "./processes.ts";

export const isRoot = (): boolean => process.getuid?.() === 0;

/**
 * Whom to run a server as when we are root: PostgreSQL refuses root, and a Redis of root's would let anybody who can
 * reach it write files as root. The first of the accounts that exists, else `nobody`; undefined where we are not root.
 */
export async function unprivilegedAccount(...names: string[]): Promise<Account | undefined> {
  if (!isRoot()) return undefined;
  for (const name of [...names, "nobody"]) {
    const [uid, gid] = await Promise.all([run("id", ["-u", name]), run("id", ["-g", name])]);
    if (uid.code === 0 && gid.code === 0) return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  }
  throw new Error("cannot run servers as root, and there is neither an account of theirs nor nobody");
}

/** The owner of a folder that a server has used before; undefined where that is ourselves. */
export function ownerOf(folder: string): Account | undefined {
  const { uid, gid } = statSync(folder);
  return isRoot() && uid !== 0 ? { uid, gid } : undefined;
}

/** A file that root has written in somebody's checkout becomes theirs, so that they can go on without root. */
export function giveToOwnerOfFolder(file: string): void {
  if (!isRoot()) return;
  const { uid, gid } = statSync(dirname(file));
  chownSync(file, uid, gid);
}

/** Whether the account may pass through the folder and everything above it. */
export function canReach(folder: string, account: Account): boolean {
  const { mode, uid, gid } = statSync(folder);
  const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
  const above = dirname(folder);
  return (mode & bit) !== 0 && (above === folder || canReach(above, account));
}
