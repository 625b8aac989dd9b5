import { APP_VARIABLES, STACK_VARIABLES } from "../../packages/shared/src/runtime/settings/stack.ts";
import type { App } from "./admin-ports.ts";

/** Of the containers, which read it from the same `.env`. */
const OF_COMPOSE = "POSTGRES_PASSWORD";

/** What an app needs of the environment of all: no process has the secrets of the others. */
export function appEnvironment(
  app: App,
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  const isForeign = (name: string) =>
    name === OF_COMPOSE || (STACK_VARIABLES.includes(name) && !APP_VARIABLES[app].includes(name));
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isForeign(name)));
}
