import { z } from "zod";
import { integer, password, publicUrl } from "./fields.ts";
import { infraSettings, infraVariables } from "./infra.ts";
import { readSettings, variablesOf, type Environment } from "./read.ts";
import { serverContradictions, serverSettings, serverVariables } from "./server.ts";

const consoleVariables = {
  CONSOLE_PORT: integer(3001, 0, 65_535),
  CONSOLE_PASSWORD: password,
  PUBLIC_URL: publicUrl,
};

const schema = z.object({ ...infraVariables, ...serverVariables, ...consoleVariables }).transform((env) => ({
  ...infraSettings(env),
  ...serverSettings(env),
  consolePort: env.CONSOLE_PORT,
  consolePassword: env.CONSOLE_PASSWORD,
  publicUrl: env.PUBLIC_URL,
}));

/** The names of the variables that the console reads. */
export const CONSOLE_VARIABLES = variablesOf(schema);

export type ConsoleSettings = Readonly<z.output<typeof schema>>;

/** @throws SettingsError */
export const readConsoleSettings = (env: Environment): ConsoleSettings =>
  readSettings(env, { schema, contradictions: serverContradictions });
