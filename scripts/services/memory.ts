import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { giveToOwnerOfFolder } from "./account.ts";

/** The settings of a server that survive a restart. */
export interface Remembered {
  password: string;
  port?: number;
  /** Folder of its data, if it could not be inside the data folder. */
  elsewhere?: string;
}

export type ServiceName = "postgres" | "redis" | "compose-postgres" | "compose-redis";
type Memory = Partial<Record<ServiceName, Remembered>>;

const fileIn = (dataDir: string): string => join(dataDir, "services.json");

export function recall(dataDir: string, name: ServiceName): Remembered | undefined {
  return readAll(dataDir)[name];
}

export function remember(dataDir: string, name: ServiceName, settings: Remembered): void {
  const file = fileIn(dataDir);
  mkdirSync(dirname(file), { recursive: true });
  const unfinished = `${file}.${process.pid}`;
  writeFileSync(unfinished, JSON.stringify({ ...readAll(dataDir), [name]: settings }, null, 2), { mode: 0o600 });
  giveToOwnerOfFolder(unfinished);
  renameSync(unfinished, file);
}

function readAll(dataDir: string): Memory {
  const file = fileIn(dataDir);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Memory) : {};
}
