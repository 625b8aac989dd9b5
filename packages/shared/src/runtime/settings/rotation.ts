import { z } from "zod";
import { deliveryVariables } from "./delivery.ts";
import { infraVariables } from "./infra.ts";
import { readSettings, type Environment } from "./read.ts";

const { DATABASE_URL, REDIS_URL } = infraVariables;
const { ENCRYPTION_KEY } = deliveryVariables;

const schema = z.object({ DATABASE_URL, REDIS_URL: REDIS_URL.optional(), ENCRYPTION_KEY }).transform((env) => ({
  databaseUrl: env.DATABASE_URL,
  redisUrl: env.REDIS_URL,
  encryptionKeys: env.ENCRYPTION_KEY,
}));

/** The settings of `npm run rotate-encryption-key`. @throws SettingsError */
export const readRotationSettings = (env: Environment): z.output<typeof schema> => readSettings(env, { schema });
