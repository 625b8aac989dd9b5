import { Resolver } from "node:dns";
import { z } from "zod";
import { parsePorts } from "../../core/allowed-ports.ts";
import { parseDuration } from "../../core/duration.ts";
import { parseNetworks } from "../../core/networks.ts";
import { weakApiKeyProblems, weakKeyProblem, weakPasswordProblem } from "./weak-secrets.ts";
import { DEFAULT_RETRY_SCHEDULE, parseRetrySchedule, type RetrySchedule } from "../../core/delivery/retry-schedule.ts";

export const text = z.string().trim();

/** A duration such as `2s`, as milliseconds. */
export const duration = (fallback: string, min: string, max: string) =>
  text.default(fallback).transform((value, issues) => {
    const ms = parseDuration(value);
    if (ms === undefined) {
      issues.addIssue(`must be a duration such as 250ms, 2s, 5m, 1h (got "${value}")`);
      return z.NEVER;
    }
    if (ms < parseDuration(min)! || ms > parseDuration(max)!) {
      issues.addIssue(`must be between ${min} and ${max} (got "${value}")`);
      return z.NEVER;
    }
    return ms;
  });

export const integer = (fallback: number, min: number, max: number) =>
  text.default(String(fallback)).transform((value, issues) => {
    const number = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= min && number <= max)) {
      issues.addIssue(`must be a whole number from ${min} to ${max} (got "${value}")`);
      return z.NEVER;
    }
    return number;
  });

export const url = (example: string, ...protocols: string[]) =>
  text.refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol), {
    // The message omits the value, because it may contain a password.
    message: `must be a URL such as ${example}`,
  });

/** Buffer.from() skips what is not base64, and stops at padding: of two keys without a comma it would read one. */
const BASE64_OF_32_BYTES = /^[A-Za-z0-9+/_-]{43}=?$/;

/** One key or several: the first seals, and all of them open. */
export const encryptionKeys = text.transform((value, issues) => {
  const texts = value.split(",").map((key) => key.trim());
  const refuse = (problem: string) => {
    issues.addIssue(problem);
    return z.NEVER;
  };
  if (!texts.every((key) => BASE64_OF_32_BYTES.test(key))) {
    const each = texts.length === 1 ? "" : " each, and a comma between two keys";
    return refuse(`must be 32 bytes in base64${each} (generate one with: openssl rand -base64 32)`);
  }
  const keys = texts.map((key) => Buffer.from(key, "base64"));
  if (new Set(keys.map((key) => key.toString("base64"))).size < keys.length) return refuse("has a key twice");
  const problem = weakKeyProblem(keys[0]!);
  return problem === undefined ? keys : refuse(problem);
});

export const apiKeys = text.transform((value, issues) => {
  const keys = value
    .split(",")
    .map((key) => key.trim())
    .filter(Boolean);
  for (const problem of weakApiKeyProblems(keys)) issues.addIssue(problem);
  return keys;
});

export const password = text.superRefine((value, issues) => {
  const problem = weakPasswordProblem(value);
  if (problem !== undefined) issues.addIssue(problem);
});

/** The origin at which browsers reach a server: a URL without a path. */
export const publicUrl = text.optional().transform((value, issues): URL | undefined => {
  if (value === undefined) return undefined;
  const url = URL.parse(value);
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.href !== `${url.origin}/`) {
    issues.addIssue("must be a URL without a path, such as https://console.example.com");
    return z.NEVER;
  }
  return url;
});

export const ports = text.default("").transform((value, issues): ReadonlySet<number> => {
  const entries = value
    .split(",")
    .map((entry) => entry.trim())
    .filter(Boolean);
  const wrong = entries.find((entry) => !/^\d{1,5}$/.test(entry) || Number(entry) > 65_535);
  if (wrong !== undefined) {
    issues.addIssue(`must be ports such as 3000,9100 (got "${wrong}")`);
    return z.NEVER;
  }
  return new Set(entries.map(Number));
});

export const retrySchedule = text.optional().transform((value, issues): RetrySchedule => {
  if (value === undefined || value === "") return DEFAULT_RETRY_SCHEDULE;
  const schedule = parseRetrySchedule(value === "standard" ? value : value.split(",").map((delay) => delay.trim()));
  if ("problem" in schedule) {
    issues.addIssue(schedule.problem);
    return z.NEVER;
  }
  return schedule;
});

/** A transformation by a parser that returns what it found, or a sentence on what is wrong. */
const parsedBy =
  <T extends object>(parse: (value: string) => T | { problem: string }) =>
  (value: string, issues: z.RefinementCtx): T => {
    const parsed = parse(value);
    if (!("problem" in parsed)) return parsed;
    issues.addIssue(parsed.problem);
    return z.NEVER;
  };

export const networks = text.default("").transform(parsedBy(parseNetworks));

export const allowedPorts = (fallback: string) => text.default(fallback).transform(parsedBy(parsePorts));

/** Addresses of DNS servers, with or without a port; undefined where the system's are used. */
export const dnsServers = text.optional().transform((value, issues): readonly string[] | undefined => {
  if (value === undefined) return undefined;
  const servers = value.split(",").map((server) => server.trim());
  try {
    new Resolver().setServers(servers);
    return servers;
  } catch {
    issues.addIssue(`must be addresses such as 10.0.0.2, 10.0.0.3:5353, [fd00::2]:53 (got "${value}")`);
    return z.NEVER;
  }
});
