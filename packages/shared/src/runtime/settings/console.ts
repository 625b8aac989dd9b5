import { z } from "zod";
import { integer, text } from "./fields.ts";
import { infraSettings, infraVariables } from "./infra.ts";
import { readSettings, type Environment } from "./read.ts";

export const consoleVariables = { CONSOLE_PORT: integer(3001, 0, 65_535), CONSOLE_PASSWORD: text };

const schema = z.object({ ...infraVariables, ...consoleVariables }).transform((env) => ({
  ...infraSettings(env),
  consolePort: env.CONSOLE_PORT,
  consolePassword: env.CONSOLE_PASSWORD,
}));

export type ConsoleSettings = Readonly<z.output<typeof schema>>;

/** @throws SettingsError */
export const readConsoleSettings = (env: Environment): ConsoleSettings => readSettings(env, { schema });
