import { z } from "zod";

/** The environment as `process.env` has it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Refused settings. `problems` holds one sentence per setting, all of them at once; no secret is repeated. */
export class SettingsError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`settings refused:\n${problems.map((problem) => `  - ${problem}`).join("\n")}`);
    this.name = "SettingsError";
    this.problems = problems;
  }
}

/** Parses what one process reads. */
export interface SettingsReader<Settings> {
  schema: z.ZodType<Settings>;
  /** Sentences about settings that are each valid and cannot work together. */
  contradictions?: (settings: Settings) => string[];
}

/**
 * Reads the settings of a process from its environment. An empty variable counts as unset.
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
