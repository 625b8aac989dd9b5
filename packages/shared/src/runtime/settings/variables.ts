import { readFileSync } from "node:fs";

/** The environment, like `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Each setting may also be given with this prefix, where another program's variable, or one that an image sets, has the
 * same name: the prefixed one is used, whatever the plain one says.
 */
const PREFIX = "POSTRIDER_";

/** May also be given as a file, by its path and the name with `_FILE`: Docker and Kubernetes mount secrets as files. */
const SECRETS: readonly string[] = ["DATABASE_URL", "REDIS_URL", "ENCRYPTION_KEY", "API_KEYS", "CONSOLE_PASSWORD"];

/**
 * Kubernetes sets such values for each Service, as Docker does for links: a Service named "console" sets CONSOLE_PORT to
 * tcp://10.0.0.1:80, and one named "postrider" POSTRIDER_PORT.
 */
const SERVICE_ADDRESS = /^(tcp|udp|sctp):\/\/\S+:\d+$/i;

export interface Variables {
  /** By the setting's plain name, without the blank ones. */
  values: Record<string, string>;
  /** The variable that each value was read from. */
  sources: Record<string, string>;
  /** One sentence for each setting that cannot be read, by its plain name. */
  problems: Map<string, string>;
  warnings: string[];
}

/** A name, and the one of its file. */
const withFile = (form: string, name: string): string[] => (SECRETS.includes(name) ? [form, `${form}_FILE`] : [form]);

/** The variables in which a setting may be given, by precedence. */
const formsByRank = (name: string): string[][] => [withFile(PREFIX + name, name), withFile(name, name)];

/** The variables in which a setting may be given. */
export const formsOf = (name: string): string[] => formsByRank(name).flat();

/** Reads these settings from the environment, in whichever form they are given. */
export function readVariables(env: Environment, names: readonly string[]): Variables {
  const read: Variables = { values: {}, sources: {}, problems: new Map(), warnings: [] };
  for (const name of names) {
    for (const form of formsOf(name).filter((one) => isServiceAddress(env[one]))) {
      read.warnings.push(
        `${form}=${env[form]} is ignored: Kubernetes sets it for a Service; use another form of ${name}`,
      );
    }
    const isGiven = (form: string) => Boolean(env[form]?.trim()) && !isServiceAddress(env[form]);
    const [source, other] =
      formsByRank(name)
        .map((forms) => forms.filter(isGiven))
        .find(({ length }) => length > 0) ?? [];
    if (source === undefined) continue;
    const value =
      other === undefined
        ? valueOf(source, env[source]!)
        : { problem: `${source} and ${other} are set: leave only one` };
    if (typeof value !== "string") {
      read.problems.set(name, value.problem);
      continue;
    }
    read.values[name] = value;
    read.sources[name] = source;
  }
  return read;
}

const isServiceAddress = (value: string | undefined): boolean => SERVICE_ADDRESS.test(value?.trim() ?? "");

const isFile = (form: string): boolean => form.endsWith("_FILE");

function valueOf(form: string, given: string): string | { problem: string } {
  if (!isFile(form)) return given;
  const path = given.trim();
  try {
    const value = readFileSync(path, "utf8").replace(/\r?\n$/, "");
    return value.trim() === "" ? { problem: `${form}: ${path} is empty` } : value;
  } catch (error) {
    return { problem: `${form}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code})` };
  }
}
