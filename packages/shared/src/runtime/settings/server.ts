import { z } from "zod";
import { formatDuration } from "../../core/duration.ts";
import { duration, networks } from "./fields.ts";

/** Variables of a public HTTP server: the API and the console. */
export const serverVariables = {
  KEEP_ALIVE_TIMEOUT: duration("75s", "1s", "2h"),
  HEADERS_TIMEOUT: duration("80s", "1s", "2h"),
  TRUST_PROXY: networks,
};

const serverSchema = z.object(serverVariables);

export type ServerSettings = ReturnType<typeof serverSettings>;

export const serverSettings = (env: z.output<typeof serverSchema>) => ({
  keepAliveTimeoutMs: env.KEEP_ALIVE_TIMEOUT,
  headersTimeoutMs: env.HEADERS_TIMEOUT,
  trustedProxies: env.TRUST_PROXY,
});

/** Finds valid settings that contradict each other. */
export function serverContradictions({ keepAliveTimeoutMs, headersTimeoutMs }: ServerSettings): string[] {
  if (headersTimeoutMs > keepAliveTimeoutMs) return [];
  const headersTimeout = `HEADERS_TIMEOUT (${formatDuration(headersTimeoutMs)})`;
  const keepAliveTimeout = `KEEP_ALIVE_TIMEOUT (${formatDuration(keepAliveTimeoutMs)})`;
  return [`${headersTimeout} must be longer than ${keepAliveTimeout}, or idle connections could end early`];
}
