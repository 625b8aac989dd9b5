import { parseArgs, type ParseArgsConfig } from "node:util";

type Options = NonNullable<ParseArgsConfig["options"]>;
type Parsed<O extends Options> = ReturnType<typeof parseArgs<{ options: O; allowPositionals: true }>>;

interface Allowed {
  /** Whether arguments without a name are allowed. */
  positionals?: boolean;
}

/**
 * Parses the arguments of a script. With --help it prints the help and exits; with wrong ones it prints the problem and
 * the help, and exits with code 2. So a script calls it before it does anything.
 */
export function readArguments<O extends Options>(help: string, options: O, { positionals = false }: Allowed = {}) {
  let parsed: Parsed<O & { help: { type: "boolean"; short: "h" } }>;
  try {
    parsed = parseArgs({
      options: { ...options, help: { type: "boolean", short: "h" } },
      allowPositionals: true,
    });
  } catch (error) {
    return refuseArguments((error as Error).message.split(/\.(?:\s|$)/)[0]!, help);
  }
  if ((parsed.values as { help?: boolean }).help) {
    console.log(help);
    process.exit(0);
  }
  const [unexpected] = positionals ? [] : parsed.positionals;
  if (unexpected !== undefined) refuseArguments(`Unexpected argument '${unexpected}'`, help);
  return parsed;
}

/** Prints the problem, in one line, and the help, and exits with code 2. */
export function refuseArguments(problem: string, help: string): never {
  process.stderr.write(`${problem}\n\n${help}`);
  process.exit(2);
}

/** @returns undefined where the option is not given */
export function wholeNumber(
  option: string,
  given: string | undefined,
  help: string,
  min: number,
  max?: number,
): number | undefined {
  if (given === undefined) return undefined;
  const number = /^\d+$/.test(given) ? Number(given) : Number.NaN;
  if (number >= min && number <= (max ?? Number.MAX_SAFE_INTEGER)) return number;
  const range = max === undefined ? `of at least ${min}` : `from ${min} to ${max}`;
  return refuseArguments(`--${option} must be a whole number ${range} (got '${given}')`, help);
}
