import { z } from "zod";

/** The environment, like `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

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
  schema: z.ZodType<Settings>;
  /** Returns one sentence per pair of valid settings that contradict each other. */
  contradictions?: (settings: Settings) => string[];
}

/**
 * Reads a process's settings from its environment. An empty variable counts as unset.
 *
 * @throws SettingsError
 */
export function readSettings<Settings>(
  env: Environment,
  { schema, contradictions }: SettingsReader<Settings>,
): Readonly<Settings> {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value?.trim()));
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    throw new SettingsError(
      parsed.error.issues.map((issue) => {
        const name = issue.path.join(".");
        return given[name] === undefined ? `${name} is required` : `${name} ${issue.message}`;
      }),
    );
  }
  const problems = contradictions?.(parsed.data) ?? [];
  if (problems.length > 0) throw new SettingsError(problems);
  return parsed.data;
}
