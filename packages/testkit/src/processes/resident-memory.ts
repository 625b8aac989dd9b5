import { readFileSync } from "node:fs";

/** @returns bytes of a process's resident memory; undefined where there is no /proc */
export function readResidentMemory(pid: number): number | undefined {
  try {
    const kB = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kB === undefined ? undefined : Number(kB) * 1024;
  } catch {
    return undefined;
  }
}
