import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { APP_VARIABLES, STACK_VARIABLES } from "@postrider/shared/runtime/settings/stack.ts";

const compose = readFileSync(resolve(import.meta.dirname, "../../docker-compose.yml"), "utf8");

/** Without the URLs, which every process needs. */
const SECRETS = ["ENCRYPTION_KEY", "API_KEYS", "CONSOLE_PASSWORD"];

const environmentOf = (service: string): string => {
  const block = new RegExp(`^  ${service}:\\n((?:    .*\\n|\\n)*)`, "m").exec(compose)?.[1];
  return /^    environment:((?: .*)?\n(?:      .*\n)*)/m.exec(block ?? "")?.[1] ?? "";
};

test("each service of docker-compose.yml gets the secrets that it reads, and no other", () => {
  const given = (service: string) => SECRETS.filter((name) => environmentOf(service).includes(`${name}: `));
  for (const app of ["ingest", "worker", "console"] as const) {
    expect(given(app), app).toEqual(SECRETS.filter((name) => APP_VARIABLES[app].includes(name)));
    expect(environmentOf(app)).toContain("<<: *settings");
  }
  expect(given("migrate")).toEqual([]);
  const shared = /^x-settings:[^]*?\n\n/m.exec(compose)![0];
  for (const name of SECRETS) expect(shared).not.toContain(name);
});

test("every setting but those of a checkout can be set in docker-compose.yml", () => {
  for (const name of STACK_VARIABLES.filter((one) => one !== "WORKERS")) expect(compose).toContain(`${name}: `);
});
