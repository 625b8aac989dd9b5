import { chownSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { run, type Account } from "./processes.ts";

export const isRoot = (): boolean => process.getuid?.() === 0;

/**
 * The account for a server if this process is root: PostgreSQL refuses to run as root, and a client of a root Redis
 * could write any file. The first existing account, otherwise `nobody`; undefined if this process is not root.
 */
export async function unprivilegedAccount(...names: string[]): Promise<Account | undefined> {
  if (!isRoot()) return undefined;
  for (const name of [...names, "nobody"]) {
    const [uid, gid] = await Promise.all([run("id", ["-u", name]), run("id", ["-g", name])]);
    if (uid.code === 0 && gid.code === 0) return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  }
  throw new Error("servers can't run as root, and neither their own account nor the account nobody exists");
}

/** The owner of a folder that a server has used before; undefined if it is this process's account. */
export function ownerOf(folder: string): Account | undefined {
  const { uid, gid } = statSync(folder);
  return isRoot() && uid !== 0 ? { uid, gid } : undefined;
}

/** Gives a file that root created to the owner of its folder, so that the checkout stays usable without root. */
export function giveToOwnerOfFolder(file: string): void {
  if (!isRoot()) return;
  const { uid, gid } = statSync(dirname(file));
  chownSync(file, uid, gid);
}

/** Whether the account may enter the folder and all of its parents. */
export function canReach(folder: string, account: Account): boolean {
  const { mode, uid, gid } = statSync(folder);
  const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
  const parent = dirname(folder);
  return (mode & bit) !== 0 && (parent === folder || canReach(parent, account));
}
