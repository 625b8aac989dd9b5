import { createRequire } from "node:module";
import { isMissingTable } from "./errors.ts";
import type { Queryable } from "./pool.ts";
import { endOlderSupport } from "./sql/end-older-support.ts";
import { readSchemaVersion, type SchemaVersion } from "./sql/read-schema-version.ts";

const journal = createRequire(import.meta.url)("../../../../drizzle/meta/_journal.json") as {
  entries: { idx: number; tag: string }[];
};

/** The number of the newest migration that this code knows. It needs that schema, or a newer one that serves it. */
export const SCHEMA_VERSION = Math.max(...journal.entries.map(({ idx }) => idx));

/** The migration from which on header values are sealed, once code of before can no longer run. */
export const SEALED_HEADERS = journal.entries.find(({ tag }) => tag.endsWith("_sealed_headers"))!.idx;

/** Whether all code that can run on the database reads sealed headers. */
export async function sealsHeaders(db: Queryable): Promise<boolean> {
  const { serves } = await readSchemaVersion(db);
  return serves !== null && serves >= SEALED_HEADERS;
}

/** Header values are sealed from now on, and code that cannot read them no longer starts. @returns false if it was so */
export const startSealingHeaders = (db: Queryable): Promise<boolean> => endOlderSupport(db, SEALED_HEADERS);

/** The tables were created before versions were noted, or not at all. */
const UNKNOWN: SchemaVersion = { version: null, serves: null };

/**
 * On a schema that this code does not know, statements would fail after requests were sent. A newer one is fine if its
 * migrations say so: during an upgrade the old processes run on the new schema.
 *
 * @throws Error if this code cannot run on the schema of the database
 */
export async function refuseOtherSchema(db: Queryable): Promise<void> {
  const { version, serves } = await readSchemaVersion(db).catch((error: unknown) => {
    if (isMissingTable(error)) return UNKNOWN;
    throw error;
  });
  if (version === null || serves === null || version < SCHEMA_VERSION) {
    const found = version === null ? "older" : `version ${version}`;
    throw new Error(
      `the database's schema is ${found}, and this code needs version ${SCHEMA_VERSION}: run \`npm run migrate\``,
    );
  }
  if (serves > SCHEMA_VERSION) {
    throw new Error(
      `the database's schema is version ${version}, which serves code that knows version ${serves} or newer, and this ` +
        `code knows version ${SCHEMA_VERSION}: start a newer release`,
    );
  }
}
