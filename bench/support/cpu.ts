import { readdirSync, readFileSync } from "node:fs";

/** USER_HZ, in which Linux counts CPU time for user space, whatever the kernel's own tick is (proc(5)). */
const TICK_US = 1_000_000 / 100;

interface Stat {
  parent: number;
  ticks: number;
  childrenTicks: number;
}

/** CPU time in microseconds per name. */
export type CpuTimes = Readonly<Record<string, number>>;

/**
 * Reads the CPU time that processes have used, threads and children included; a child that ended is counted with its
 * parent.
 *
 * @param pids by name; several processes of one name are added up
 * @returns undefined where there is no /proc
 */
export function readCpu(pids: Readonly<Record<string, number | readonly number[]>>): CpuTimes | undefined {
  const stats = readStats();
  if (!stats) return undefined;
  const usOf = (all: readonly number[]) => all.reduce((sum, pid) => sum + ticksOf(pid, stats), 0) * TICK_US;
  return Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, usOf([pid].flat())]));
}

/**
 * CPU microseconds per event and process between two readings, as metrics `cpu <name>`; none where there is no /proc.
 */
export function cpuPerEvent(
  before: CpuTimes | undefined,
  after: CpuTimes | undefined,
  events: number,
): Record<string, number> {
  if (!before || !after) return {};
  return Object.fromEntries(
    Object.entries(after).map(([name, us]) => [`cpu ${name}`, (us - (before[name] ?? 0)) / events]),
  );
}

function ticksOf(pid: number, stats: ReadonlyMap<number, Stat>): number {
  const own = stats.get(pid);
  let ticks = own ? own.ticks + own.childrenTicks : 0;
  for (const [child, { parent }] of stats) if (parent === pid) ticks += ticksOf(child, stats);
  return ticks;
}

function readStats(): Map<number, Stat> | undefined {
  let names: string[];
  try {
    names = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return undefined;
  }
  const stats = new Map<number, Stat>();
  for (const name of names) {
    const stat = readStat(name);
    if (stat) stats.set(Number(name), stat);
  }
  return stats.size > 0 ? stats : undefined;
}

function readStat(pid: string): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined; // it ended meanwhile
  }
  // The name, in parentheses, may contain anything; field 3 of proc(5) follows it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const field = (number: number) => Number(fields[number - 3]);
  return { parent: field(4), ticks: field(14) + field(15), childrenTicks: field(16) + field(17) };
}
