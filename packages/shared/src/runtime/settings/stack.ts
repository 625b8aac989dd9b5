import { integer } from "./fields.ts";
import { CONSOLE_VARIABLES, readConsoleSettings, type ConsoleSettings } from "./console.ts";
import { INGEST_VARIABLES, readIngestSettings, type IngestSettings } from "./ingest.ts";
import { readSettings, SettingsError, variablesOf, type Environment } from "./read.ts";
import { readWorkerSettings, WORKER_VARIABLES, type WorkerSettings } from "./worker.ts";
import { z } from "zod";

/** The settings of `npm start`: those of every process that it runs, and the number of workers. */
export type StackSettings = IngestSettings & WorkerSettings & ConsoleSettings & { workers: number };

const workersSchema = z.object({ WORKERS: integer(2, 1, 64) }).transform((env) => ({ workers: env.WORKERS }));

/** The names of the variables that each process reads. */
export const APP_VARIABLES = { ingest: INGEST_VARIABLES, worker: WORKER_VARIABLES, console: CONSOLE_VARIABLES };

/** The names of all variables. */
export const STACK_VARIABLES: readonly string[] = [
  ...new Set([...Object.values(APP_VARIABLES).flat(), ...variablesOf(workersSchema)]),
];

/** @throws SettingsError with the problems of all processes, without duplicates */
export function readStackSettings(env: Environment): StackSettings {
  const problems = new Set<string>();
  const read = <Settings>(reader: () => Settings): Settings | undefined => {
    try {
      return reader();
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error;
      for (const problem of error.problems) problems.add(problem);
      return undefined;
    }
  };
  const ingest = read(() => readIngestSettings(env));
  const worker = read(() => readWorkerSettings(env));
  const console = read(() => readConsoleSettings(env));
  const stack = read(() => readSettings(env, { schema: workersSchema }));
  if (!ingest || !worker || !console || !stack) throw new SettingsError([...problems]);
  return { ...ingest, ...worker, ...console, ...stack };
}
