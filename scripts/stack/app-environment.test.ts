import { expect, test } from "vitest";
import { appEnvironment } from "./app-environment.ts";

test("each process gets its own secrets, and what is not a setting", () => {
  const env = {
    PATH: "/bin",
    NODE_EXTRA_CA_CERTS: "ca.pem",
    DATABASE_URL: "postgres://host/postrider",
    REDIS_URL: "redis://host",
    ENCRYPTION_KEY: "key",
    API_KEYS: "keys",
    CONSOLE_PASSWORD: "password",
    POSTGRES_PASSWORD: "of a container",
  };
  const { POSTGRES_PASSWORD: _unused, API_KEYS, CONSOLE_PASSWORD, ENCRYPTION_KEY, ...all } = env;
  expect(appEnvironment("ingest", env)).toEqual({ ...all, ENCRYPTION_KEY, API_KEYS });
  expect(appEnvironment("worker", env)).toEqual({ ...all, ENCRYPTION_KEY });
  expect(appEnvironment("console", env)).toEqual({ ...all, CONSOLE_PASSWORD });
});
