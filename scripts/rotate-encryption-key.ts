import { SettingsError } from "../packages/shared/src/runtime/settings/read.ts";
import { readRotationSettings } from "../packages/shared/src/runtime/settings/rotation.ts";
import { waitForShutdown } from "../packages/shared/src/runtime/process/shutdown-signal.ts";
import { createLogger } from "../packages/shared/src/runtime/telemetry/logger.ts";
import { createPool } from "../packages/shared/src/store/pool.ts";
import { rotateEncryptionKey, type Rotation } from "../packages/shared/src/store/rotate-encryption-key.ts";
import { refuseOtherSchema } from "../packages/shared/src/store/schema-range.ts";
import { createSecretBox } from "../packages/shared/src/store/secret-box.ts";
import type { Pass } from "../packages/shared/src/store/reseal.ts";
import { readArguments } from "./arguments.ts";
import { refuseOtherSealingKeys } from "./keys/refuse-other-sealing-keys.ts";
import { refuseWorkersWithoutKey } from "./keys/refuse-workers-without-key.ts";
import { DATA_DIR, ensureServices, readEnvironment } from "./services/index.ts";
import { devSecrets } from "./stack/dev-secrets.ts";

const HELP = `Usage: npm run rotate-encryption-key

Seals everything again that is sealed under an older key of ENCRYPTION_KEY: signing secrets, headers of subscriptions
and the answers of idempotency keys. Postrider may be running. The steps of a rotation:

  1. ENCRYPTION_KEY=<old>,<new>   restart every process: all of them open both keys, and still seal with the old one
  2. ENCRYPTION_KEY=<new>,<old>   restart every process: from now on they seal with the new one
  3. npm run rotate-encryption-key, with the settings of step 2, until it says "done"
  4. ENCRYPTION_KEY=<new>         restart every process, and destroy the old key

It may be interrupted and run again. It exits with 0 only if nothing is left under another key than the first. Settings
come from the environment and from .env; without DATABASE_URL the local database is used. If REDIS_URL is set, it refuses
to begin while a worker runs that does not have the first key.
`;

const PROGRESS_MS = 2_000;

/** Starts the local services if no database is given. */
async function connect() {
  const env = readEnvironment();
  if (env["DATABASE_URL"]?.trim()) return { env, stop: async () => undefined };
  const services = await ensureServices({ env, isTemporary: true });
  const { databaseUrl: DATABASE_URL, redisUrl: REDIS_URL } = services;
  const complete = { ...env, ...devSecrets(DATA_DIR, env), DATABASE_URL, REDIS_URL };
  return { env: complete, stop: () => services.stop() };
}

function createProgress() {
  let shownAt = performance.now();
  return ({ checked, resealed }: Readonly<Pass>) => {
    if (performance.now() - shownAt < PROGRESS_MS) return;
    shownAt = performance.now();
    console.log(`${checked} rows checked, ${resealed} of them sealed again`);
  };
}

async function rotate(signal: AbortSignal): Promise<Rotation> {
  const { env, stop } = await connect();
  try {
    const { databaseUrl, redisUrl, encryptionKeys } = readRotationSettings(env);
    const box = createSecretBox(encryptionKeys);
    const pool = createPool(databaseUrl, "postrider-rotate", 2, createLogger("rotate", "error"));
    try {
      await refuseOtherSchema(pool);
      if (redisUrl === undefined) console.log("REDIS_URL is not set: not checking which keys the workers have");
      else await refuseWorkersWithoutKey(redisUrl, box.keyId);
      await refuseOtherSealingKeys(pool, box.keyId);
      console.log(`sealing everything under key ${box.keyId}, the first of ${encryptionKeys.length}`);
      const rotation = await rotateEncryptionKey({ db: pool, box, signal, onProgress: createProgress() });
      // A process may have been started meanwhile.
      if (rotation.kind === "done") await refuseOtherSealingKeys(pool, box.keyId);
      return rotation;
    } finally {
      await pool.end();
    }
  } finally {
    await stop();
  }
}

/** @returns the exit code */
function report(rotation: Rotation): number {
  switch (rotation.kind) {
    case "done":
      console.log(`done: ${rotation.resealed} rows sealed again, and nothing is left under another key`);
      return 0;
    case "interrupted":
      console.log(`interrupted: ${rotation.resealed} rows sealed again; run it again to go on`);
      return 130;
    case "lost": {
      const { lost, lostExamples } = rotation.last;
      console.error(
        `not finished: ${rotation.resealed} rows sealed again, and no key of ENCRYPTION_KEY opens ${lost} rows, such as ` +
          `${lostExamples.join(", ")}: add the key that sealed them, last in the list (answers expire within a day)`,
      );
      return 1;
    }
    case "unfinished":
      console.error(
        `not finished: ${rotation.resealed} rows sealed again, and ${rotation.last.old} were under another key in the ` +
          "last pass, too: restart every process with the new key first in ENCRYPTION_KEY, and run this again",
      );
      return 1;
  }
}

readArguments(HELP, {});
const stopping = new AbortController();
void waitForShutdown().then(() => stopping.abort());
try {
  process.exit(report(await rotate(stopping.signal)));
} catch (error) {
  const { message } = error as Error;
  console.error(error instanceof SettingsError ? message : `could not rotate the key: ${message}; run it again`);
  process.exit(1);
}
