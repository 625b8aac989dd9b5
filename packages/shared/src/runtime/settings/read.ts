import type { z } from "zod";
import { formsOf, readVariables, type Environment } from "./variables.ts";

export type { Environment } from "./variables.ts";

/** Invalid settings. `problems` has one sentence for each of them and repeats no secret. */
export class SettingsError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`settings refused:\n${problems.map((problem) => `  - ${problem}`).join("\n")}`);
    this.name = "SettingsError";
    this.problems = problems;
  }
}

/** The settings that one process reads. */
export interface SettingsReader<Settings> {
  /** An object of the process's variables, and nothing of other processes. */
  schema: z.ZodType<Settings> & { in: z.ZodObject };
  /** Returns one sentence per pair of valid settings that contradict each other. */
  contradictions?: (settings: Settings) => string[];
}

/** The names of the variables that it reads, without their other forms. */
export const variablesOf = (schema: SettingsReader<unknown>["schema"]): string[] => Object.keys(schema.in.shape);

/**
 * Reads a process's settings from its environment. An empty variable counts as unset. Warnings go to stderr, because the
 * level of the log is a setting too.
 *
 * @throws SettingsError
 */
export function readSettings<Settings>(
  env: Environment,
  { schema, contradictions }: SettingsReader<Settings>,
): Readonly<Settings> {
  const { values, sources, problems, warnings } = readVariables(env, variablesOf(schema));
  warn(warnings);
  const parsed = schema.safeParse(values);
  const invalid = (parsed.error?.issues ?? [])
    .map((issue) => ({ name: issue.path.join("."), message: issue.message }))
    .filter(({ name }) => !problems.has(name))
    .map(({ name, message }) => (sources[name] === undefined ? `${name} is required` : `${sources[name]} ${message}`));
  refuse([...refusedVariables(env), ...problems.values(), ...invalid]);
  refuse(contradictions?.(parsed.data!) ?? []);
  return parsed.data!;
}

/**
 * The environment with these settings under their plain names only, so that processes that are started with it, and
 * scripts, need not know the other forms.
 *
 * @throws SettingsError
 */
export function plainEnvironment(env: Environment, names: readonly string[]): Record<string, string | undefined> {
  const { values, problems, warnings } = readVariables(env, names);
  warn(warnings);
  refuse([...refusedVariables(env), ...problems.values()]);
  const forms = new Set(names.flatMap(formsOf));
  return { ...Object.fromEntries(Object.entries(env).filter(([name]) => !forms.has(name))), ...values };
}

function refusedVariables(env: Environment): string[] {
  if (env["NODE_TLS_REJECT_UNAUTHORIZED"] !== "0") return [];
  return [
    "NODE_TLS_REJECT_UNAUTHORIZED=0 would turn off the verification of every certificate, those of subscribers, Postgres " +
      "and Redis: unset it (NODE_EXTRA_CA_CERTS=file.pem adds a certificate authority)",
  ];
}

function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw new SettingsError(problems);
}

function warn(warnings: readonly string[]): void {
  for (const warning of warnings) process.stderr.write(`${warning}\n`);
}
