import { globSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { moveTo } from "@postrider/shared/store/transitions.ts";
import type { TestDatabase } from "@postrider/testkit/servers/database.ts";
import { createTestDatabase } from "@postrider/testkit/vitest.ts";

const FOLDER = resolve(import.meta.dirname, "../../packages/shared/src/store/sql");
const modules = globSync("*.ts", { cwd: FOLDER })
  .filter((file) => !file.endsWith(".test.ts"))
  .sort();

interface Statement {
  /** The prepared statement's name; undefined where the driver does not keep it. */
  name: string | undefined;
  text: string;
  values: readonly unknown[];
}

const MAX_PARAMETERS = 6;

/** An argument or a row that passes for a text, a number, a list of one, a map or an object with any field. */
const anything: unknown = new Proxy(() => anything, {
  get(_target, key) {
    if (key === Symbol.toPrimitive) return (hint: string) => (hint === "number" ? 1 : "1");
    // Otherwise `await` would take it for a promise.
    if (key === "then") return undefined;
    if (key === "reduce") return (_add: unknown, initial: unknown) => initial;
    const list = [anything];
    const field: unknown = Reflect.get(list, key);
    return typeof field === "function" ? field.bind(list) : (field ?? anything);
  },
});

const inOrder = (order: string): unknown[] => [{ order, before: anything, from: anything, limit: anything }];

/**
 * Arguments after the connection, of functions that build their text from them; all others are called with `anything`.
 */
const ARGUMENTS: Readonly<Record<string, readonly unknown[][]>> = {
  expirePartitionRows: [["deliveries"]],
  uncountHeldRows: [["deliveries"]],
  ...Object.fromEntries(
    ["listDeliveryRows", "listEventRows", "listSubscriptionRows"].map((list) => [list, ["desc", "asc"].map(inOrder)]),
  ),
};

/** Calls a function with a connection that records statements instead of running them. */
async function capture(name: string, run: (...args: unknown[]) => unknown): Promise<Statement[]> {
  const captured: Statement[] = [];
  const query = async (config: string | Statement, values: readonly unknown[] = []) => {
    captured.push(typeof config === "string" ? { name: undefined, text: config, values } : config);
    return { rows: [anything], rowCount: 1 };
  };
  for (const given of ARGUMENTS[name] ?? [[]]) {
    await run({ query }, ...given, ...Array.from({ length: MAX_PARAMETERS - given.length }, () => anything));
  }
  return captured;
}

/** The statements of a module by the function that runs them; exported parts of a text have none. */
async function statementsOf(module: string): Promise<[string, Statement[]][]> {
  const exported: Record<string, unknown> = await import(resolve(FOLDER, module));
  const functions = Object.entries(exported).filter(
    (entry): entry is [string, (...args: unknown[]) => unknown] => typeof entry[1] === "function",
  );
  return Promise.all(functions.map(async ([name, run]) => [name, await capture(name, run)] as [string, Statement[]]));
}

/** The columns that each update of deliveries in a text assigns. */
function assignedColumns(text: string): string[][] {
  const updates = text.split(/\bupdate "?deliveries"?(?: d)?\s+set\b/).slice(1);
  return updates.map((update) => {
    const list = withoutParentheses(update).split(/\b(?:from|where|returning)\b|\)/)[0]!;
    return [...list.matchAll(/(?:^|,)\s*(\w+) = /g)].map(([, column]) => column!);
  });
}

function withoutParentheses(sql: string): string {
  const stripped = sql.replaceAll(/\([^()]*\)/g, "");
  return stripped === sql ? sql : withoutParentheses(stripped);
}

let database: TestDatabase;
let client: pg.Client;
beforeAll(async () => {
  database = await createTestDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await database.drop();
});

describe.each(modules)("%s", (module) => {
  test("Postgres takes every statement, with as many parameters as it is given", async () => {
    for (const [name, statements] of await statementsOf(module)) {
      for (const { text, values } of statements) {
        await client.query(`prepare checked as ${text}`);
        const { rows } = await client.query<{ parameters: number }>(
          "select cardinality(parameter_types) as parameters from pg_prepared_statements where name = 'checked'",
        );
        await client.query("deallocate checked");
        expect([name, values.length]).toEqual([name, rows[0]!.parameters]);
      }
    }
  });

  test("every move to another state names all columns that belong to any state", async () => {
    const [stateColumns] = assignedColumns(`update deliveries set ${moveTo("delivered", {})}`);
    for (const [name, statements] of await statementsOf(module)) {
      for (const columns of statements.flatMap(({ text }) => assignedColumns(text))) {
        if (columns.includes("state")) expect(columns, name).toEqual(expect.arrayContaining(stateColumns!));
      }
    }
  });
});

test("every query of a module was captured", async () => {
  for (const module of modules) {
    const queries = [...readFileSync(resolve(FOLDER, module), "utf8").matchAll(/\.query\b/g)].length;
    const texts = (await statementsOf(module)).flatMap(([, statements]) => statements.map(({ text }) => text));
    expect(new Set(texts).size, module).toBeGreaterThanOrEqual(queries);
  }
});

test("a prepared statement's name stands for one text", async () => {
  const texts = new Map<string, Set<string>>();
  for (const module of modules) {
    for (const { name, text } of (await statementsOf(module)).flatMap(([, statements]) => statements)) {
      if (name !== undefined) texts.set(name, (texts.get(name) ?? new Set()).add(text));
    }
  }
  expect(texts.size).toBeGreaterThan(0);
  expect([...texts].filter(([, { size }]) => size > 1).map(([name]) => name)).toEqual([]);
});
