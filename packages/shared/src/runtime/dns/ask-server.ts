import { Resolver } from "node:dns/promises";
import { inDialOrder } from "./dial-order.ts";

/** What DNS says about a name. */
export type Answer =
  | { kind: "found"; addresses: readonly string[]; ttlMs: number }
  /** The name does not exist, or has no address. */
  | { kind: "not_found" }
  | Failure;

export interface Failure {
  kind: "failed";
  /** Of c-ares, such as ESERVFAIL. */
  code: string;
  /** No server has answered at all. */
  isSilent: boolean;
}

/** A question on its way. The answer never rejects. */
export interface Question {
  answer: Promise<Answer>;
  /** Ends the question; its answer must not be used any more. */
  cancel(): void;
}

/** @param isReal whether the server had an answer, and not only an error */
export type OnResponse = (isReal: boolean) => void;

/** A lost packet is sent again after this, and after twice as long. */
const QUERY_TIMEOUT_MS = 1_000;
const TRIES = 3;
/** How long the addresses of one family wait for those of the other: some name servers never answer for IPv6. */
const OTHER_FAMILY_MS = 300;
/** How long half an answer is used. */
const HALF_TTL_MS = 5_000;

/** What a server says about one family of addresses. */
type FamilyAnswer =
  | { kind: "found"; addresses: string[]; ttlMs: number }
  | { kind: "none"; isNameMissing: boolean }
  | Failure;

/**
 * Asks one DNS server for the addresses of a name, of both families. The name is absolute: search domains are not used.
 *
 * It has a resolver of its own, because `Resolver.cancel()` ends all questions of one. That costs 25 µs, and one socket
 * for as long as the question is open.
 */
export function askServer(server: string, name: string, onResponse: OnResponse): Question {
  const resolver = new Resolver({ timeout: QUERY_TIMEOUT_MS, tries: TRIES });
  resolver.setServers([server]);
  const answer = new Promise<Answer>((resolve) => {
    const answers: FamilyAnswer[] = [];
    let waiting: NodeJS.Timeout | undefined;
    const end = () => {
      clearTimeout(waiting);
      resolve(combine(answers));
    };
    const onAnswer = (family: FamilyAnswer) => {
      answers.push(family);
      if (family.kind !== "failed" || !family.isSilent) onResponse(family.kind !== "failed");
      if (answers.length === 2) end();
      else if (isEnough(family)) waiting = setTimeout(end, OTHER_FAMILY_MS);
    };
    for (const query of [resolver.resolve4(name, { ttl: true }), resolver.resolve6(name, { ttl: true })]) {
      void query.then(toFound, toFailure).then(onAnswer);
    }
  });
  return { answer, cancel: () => resolver.cancel() };
}

/** Asks a server for the name servers of the root, which every resolver knows. */
export async function askRoot(server: string, onResponse: OnResponse): Promise<void> {
  const resolver = new Resolver({ timeout: QUERY_TIMEOUT_MS, tries: 2 });
  resolver.setServers([server]);
  const failure = await resolver.resolveNs(".").then(() => undefined, toFailure);
  if (failure?.kind !== "failed" || !failure.isSilent) onResponse(failure?.kind !== "failed");
}

/** A family with addresses, or a name that does not exist: the other family can hardly change that. */
const isEnough = (family: FamilyAnswer): boolean =>
  family.kind === "found" || (family.kind === "none" && family.isNameMissing);

function combine(families: readonly FamilyAnswer[]): Answer {
  const found = families.filter((family) => family.kind === "found");
  if (found.length > 0) {
    const isWhole = families.length === 2 && families.every(({ kind }) => kind !== "failed");
    const ttlMs = Math.min(...found.map((family) => family.ttlMs), isWhole ? Number.POSITIVE_INFINITY : HALF_TTL_MS);
    return { kind: "found", addresses: inDialOrder(found.flatMap(({ addresses }) => addresses)), ttlMs };
  }
  if (families.some(isEnough)) return { kind: "not_found" };
  const failures = families.filter((family) => family.kind === "failed");
  return failures.find(({ isSilent }) => !isSilent) ?? failures[0] ?? { kind: "not_found" };
}

const toFound = (records: { address: string; ttl: number }[]): FamilyAnswer =>
  records.length === 0
    ? { kind: "none", isNameMissing: false }
    : {
        kind: "found",
        addresses: records.map(({ address }) => address),
        ttlMs: Math.min(...records.map(({ ttl }) => ttl)) * 1_000,
      };

/** Errors without a response. All others that are not named here are responses with an error. */
const SILENT = new Set(["ETIMEOUT", "ECONNREFUSED", "ECANCELLED", "EDESTRUCTION", "EOF", "ENOMEM", "ENOSERVER"]);
/** Names that no server can know, such as one of 300 characters, and names that do not exist. */
const MISSING = new Set(["ENOTFOUND", "EBADNAME", "EBADQUERY", "EBADSTR", "ENONAME"]);

function toFailure(error: unknown): FamilyAnswer {
  const code = error instanceof Error && "code" in error ? String(error.code) : "EUNKNOWN";
  if (code === "ENODATA" || MISSING.has(code)) return { kind: "none", isNameMissing: code !== "ENODATA" };
  return { kind: "failed", code, isSilent: SILENT.has(code) };
}
