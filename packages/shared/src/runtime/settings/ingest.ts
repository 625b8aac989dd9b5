import { z } from "zod";
import { deliverySettings, deliveryVariables } from "./delivery.ts";
import { apiKeys, integer } from "./fields.ts";
import { infraSettings, infraVariables } from "./infra.ts";
import { readSettings, type Environment } from "./read.ts";

export const ingestVariables = { PORT: integer(3000, 0, 65_535), API_KEYS: apiKeys };

const schema = z.object({ ...infraVariables, ...deliveryVariables, ...ingestVariables }).transform((env) => ({
  ...infraSettings(env),
  ...deliverySettings(env),
  port: env.PORT,
  apiKeys: env.API_KEYS,
}));

export type IngestSettings = Readonly<z.output<typeof schema>>;

/** @throws SettingsError */
export const readIngestSettings = (env: Environment): IngestSettings => readSettings(env, { schema });
