import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { PROBLEMS } from "./problem.ts";

test("docs/api.md lists every problem code with its status, and no other", () => {
  const docs = readFileSync(new URL("../../../../docs/api.md", import.meta.url), "utf8");
  const documented = [...docs.matchAll(/^\| `(\w+)` \| (\d{3}) \|/gm)].map(([, code, status]) => [
    code,
    Number(status),
  ]);
  expect(documented).toEqual(Object.entries(PROBLEMS).map(([code, { status }]) => [code, status]));
});
