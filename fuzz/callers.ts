import type { Draw } from "./draw.ts";
import { CREDENTIALS } from "./secrets.ts";

/** The kinds of keys that a call is made with. */
export const CALLERS = [
  "none",
  "unknown",
  "malformed",
  "wrong-scheme",
  "lower-case-scheme",
  "read-only",
  "write-only",
  "tenant-a",
  "tenant-b",
  "operator",
  "oversized",
] as const;
export type CallerKind = (typeof CALLERS)[number];

/** Callers without a valid key, whom the API answers with 401. */
export const STRANGERS: ReadonlySet<CallerKind> = new Set([
  "none",
  "unknown",
  "malformed",
  "wrong-scheme",
  "oversized",
]);

export const TENANTS = { "tenant-a": "fuzz-a", "tenant-b": "fuzz-b" } as const;

/**
 * The mark of the data that a caller sends. Only a tenant's own key sends its mark, so an answer to another tenant's key
 * that holds it is a leak.
 */
export const MARKS: Readonly<Record<CallerKind, string>> = {
  none: "mark-n-",
  unknown: "mark-n-",
  malformed: "mark-n-",
  "wrong-scheme": "mark-n-",
  oversized: "mark-n-",
  "read-only": "mark-o-",
  "write-only": "mark-o-",
  "lower-case-scheme": "mark-o-",
  operator: "mark-o-",
  "tenant-a": "mark-a-",
  "tenant-b": "mark-b-",
};

export const isTenantKey = (caller: CallerKind): caller is keyof typeof TENANTS => caller in TENANTS;

/**
 * What an answer to a caller must not hold: others' marks, and names of other tenants, because summaries and lists have
 * no data.
 */
export function foreignTexts(caller: CallerKind): string[] {
  if (STRANGERS.has(caller)) return ["mark-a-", "mark-b-", "mark-o-", ...Object.values(TENANTS)];
  if (caller === "tenant-a") return ["mark-b-", TENANTS["tenant-b"]];
  if (caller === "tenant-b") return ["mark-a-", TENANTS["tenant-a"]];
  return [];
}

/** The value of the Authorization header; undefined for none. */
export function authorizationOf(caller: CallerKind, draw: Draw): string | undefined {
  switch (caller) {
    case "none":
      return undefined;
    case "unknown":
      return `Bearer ${draw.chance(0.5) ? CREDENTIALS.expired : CREDENTIALS.unknown}`;
    case "malformed":
      return draw.pick(malformed());
    case "wrong-scheme":
      return draw.pick([
        `Basic ${Buffer.from(`operator:${CREDENTIALS.operator}`).toString("base64")}`,
        `Digest ${CREDENTIALS.operator}`,
        `Token ${CREDENTIALS.operator}`,
        CREDENTIALS.operator,
      ]);
    case "lower-case-scheme":
      return draw.pick([`bearer ${CREDENTIALS.operator}`, `BEARER  ${CREDENTIALS.operator} `]);
    case "oversized":
      return draw.pick([
        `Bearer ${CREDENTIALS.operator}${"a".repeat(draw.pick([1_000, 8_000, 12_000]))}`,
        `Bearer ${CREDENTIALS.operator}\u0080\u00ff`,
        `Bearer ${CREDENTIALS.operator}\u0001`,
      ]);
    case "read-only":
    case "write-only":
    case "tenant-a":
    case "tenant-b":
    case "operator":
      return `Bearer ${CREDENTIALS[caller]}`;
  }
}

const malformed = (): string[] => [
  "Bearer",
  "Bearer ",
  "",
  `Bearer ${CREDENTIALS.operator} ${CREDENTIALS.operator}`,
  `Bearer:${CREDENTIALS.operator}`,
  `Bearer ${CREDENTIALS.operator},${CREDENTIALS.unknown}`,
  `Bearer "${CREDENTIALS.operator}"`,
  `Bearer ${CREDENTIALS.operator.slice(0, -1)}`,
  `Bearer ${CREDENTIALS.operator.toUpperCase()}`,
];
