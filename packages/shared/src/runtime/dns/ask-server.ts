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

/** No server has answered in time. */
export const SILENCE: Failure = { kind: "failed", code: "ETIMEOUT", isSilent: true };

/** What to ask for. */
export interface Query {
  name: string;
  /** Whether this machine can and may reach an address. */
  isUsable: (address: string) => boolean;
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
/**
 * How long usable addresses of one family wait for those of the other: some name servers never answer for IPv6. All else
 * waits in full: a lost packet is sent again after a second.
 */
const OTHER_FAMILY_MS = 300;
/** How long half an answer is used. */
const HALF_TTL_MS = 5_000;
/** Addresses of one family that are kept. A name may have thousands, which would stay in memory; Node reads 256 TTLs. */
const MAX_ADDRESSES = 16;

/** What a server says about one family of addresses. */
type FamilyAnswer = { kind: "found"; addresses: string[]; ttlMs: number } | { kind: "none" } | Failure;

/**
 * Asks one DNS server for the addresses of a name, of both families. The name is absolute: search domains are not used.
 *
 * It has a resolver of its own, because `Resolver.cancel()` ends all questions of one. That costs 25 µs, and one socket
 * for as long as the question is open.
 */
export function askServer(server: string, { name, isUsable }: Query, onResponse: OnResponse): Question {
  const resolver = new Resolver({ timeout: QUERY_TIMEOUT_MS, tries: TRIES });
  resolver.setServers([server]);
  const answer = new Promise<Answer>((resolve) => {
    const answers: FamilyAnswer[] = [];
    let waiting: NodeJS.Timeout | undefined;
    const end = () => {
      clearTimeout(waiting);
      resolve(combine(answers, isUsable));
    };
    const onAnswer = (family: FamilyAnswer) => {
      answers.push(family);
      if (family.kind !== "failed" || !family.isSilent) onResponse(family.kind !== "failed");
      if (answers.length === 2) end();
      else if (family.kind === "found" && family.addresses.some(isUsable)) waiting = setTimeout(end, OTHER_FAMILY_MS);
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

/** Half an answer is one only if it has a usable address. Otherwise the half that is missing decides. */
function combine(families: readonly FamilyAnswer[], isUsable: (address: string) => boolean): Answer {
  const found = families.filter((family) => family.kind === "found");
  const addresses = found.flatMap((family) => family.addresses);
  const failures = families.filter((family) => family.kind === "failed");
  const failure = failures.find(({ isSilent }) => !isSilent) ?? failures[0];
  if (failure !== undefined && !addresses.some(isUsable)) return failure;
  if (found.length === 0) return { kind: "not_found" };
  const maxTtlMs = families.length === 2 && failure === undefined ? Number.POSITIVE_INFINITY : HALF_TTL_MS;
  const ttlMs = Math.min(...found.map((family) => family.ttlMs), maxTtlMs);
  return { kind: "found", addresses: inDialOrder(addresses), ttlMs };
}

function toFound(records: { address: string; ttl: number }[]): FamilyAnswer {
  if (records.length === 0) return { kind: "none" };
  const kept = records.slice(0, MAX_ADDRESSES);
  const ttlMs = Math.min(...kept.map(({ ttl }) => ttl)) * 1_000;
  return { kind: "found", addresses: kept.map(({ address }) => address), ttlMs };
}

/** Errors without a response. All others that are not named here are responses with an error. */
const SILENT = new Set(["ETIMEOUT", "ECONNREFUSED", "ECANCELLED", "EDESTRUCTION", "EOF", "ENOMEM", "ENOSERVER"]);
/** No addresses of a family, no such name, or one that no server can know, such as one of 300 characters. */
const NONE = new Set(["ENODATA", "ENOTFOUND", "EBADNAME", "EBADQUERY", "EBADSTR", "ENONAME"]);

function toFailure(error: unknown): FamilyAnswer {
  const code = error instanceof Error && "code" in error ? String(error.code) : "EUNKNOWN";
  if (NONE.has(code)) return { kind: "none" };
  return { kind: "failed", code, isSilent: SILENT.has(code) };
}
