import type { Draw } from "../draw.ts";
import { isTenantKey } from "../callers.ts";
import type { BodyShape } from "./fields.ts";
import type { Subject } from "./subject.ts";
import { HOSTILE_NAMES, hostileJson } from "./values.ts";

export interface Generated<T> {
  value: T;
  /** What was changed about a valid value; empty where nothing was. */
  mutations: string[];
}

type Member = [name: string, json: string];

const VALID_SHARE = 0.35;
const OPTIONAL_SHARE = 0.3;
const OTHER_TENANT_SHARE = 0.05;

/** The only mutation of its body: a tenant's key writes for the other tenant. */
export const OTHER_TENANT = "other tenant";

/** A body as a route takes it, or a mutation of one. */
export function generateBody(subject: Subject, shape: BodyShape): Generated<Buffer> {
  const { draw } = subject;
  const required: Member[] = Object.entries(shape.required).map(([name, value]) => [name, value(subject)]);
  const members = [...required];
  for (const [name, value] of Object.entries(shape.optional)) {
    if (draw.chance(OPTIONAL_SHARE)) members.push([name, value(subject)]);
  }
  if (isTenantKey(subject.caller) && draw.chance(OTHER_TENANT_SHARE)) {
    const ofOther = withTenant(draw, serialize(required), subject.otherTenant);
    if (ofOther !== undefined) return { value: Buffer.from(ofOther), mutations: [OTHER_TENANT] };
  }
  if (draw.chance(VALID_SHARE)) return { value: Buffer.from(serialize(members)), mutations: [] };
  const mutations: string[] = [];
  for (let n = draw.pick([1, 1, 1, 2, 3]); n > 0; n -= 1) mutations.push(mutateMembers(subject, shape, members));
  let text = serialize(members);
  if (draw.chance(0.15)) text = mutateText(draw, text, mutations);
  const bytes = Buffer.from(text);
  return { value: draw.chance(0.1) ? mutateBytes(draw, bytes, mutations) : bytes, mutations };
}

const serialize = (members: readonly Member[]): string =>
  `{${members.map(([name, json]) => `"${name}":${json}`).join()}}`;

/** @returns undefined where the text is of nothing that has a tenant: of no event and no new subscription */
function withTenant(draw: Draw, text: string, tenant: string): string | undefined {
  const starts = [...text.matchAll(/\{(?="(?:type|url)":)/g)];
  if (starts.length === 0) return undefined;
  const at = draw.pick(starts).index + 1;
  return `${text.slice(0, at)}"tenant":"${tenant}",${text.slice(at)}`;
}

function mutateMembers({ draw }: Subject, shape: BodyShape, members: Member[]): string {
  const known = [...Object.keys(shape.required), ...Object.keys(shape.optional)];
  const mutation = draw.weighted<"replace" | "remove" | "add" | "unknown" | "duplicate" | "inside" | "order">([
    [6, "replace"],
    [1, "remove"],
    [3, "add"],
    [2, "unknown"],
    [1, "duplicate"],
    [3, "inside"],
    [1, "order"],
  ]);
  const at = draw.integer(0, Math.max(0, members.length - 1));
  const member = members[at];
  switch (mutation) {
    case "replace":
      if (member) member[1] = hostileJson(draw);
      break;
    case "remove":
      members.splice(at, 1);
      break;
    case "add":
      if (known.length > 0) members.push([draw.pick(known), hostileJson(draw)]);
      break;
    case "unknown":
      members.push([draw.pick(HOSTILE_NAMES), hostileJson(draw)]);
      break;
    case "duplicate":
      if (member) members.push([member[0], draw.chance(0.5) ? member[1] : hostileJson(draw)]);
      break;
    case "inside":
      if (member) member[1] = replaceInside(draw, member[1]);
      break;
    case "order":
      members.reverse();
      break;
  }
  return member ? `${mutation} ${member[0]}` : mutation;
}

/** Replaces a value somewhere in a JSON text, or adds a member beside it. */
function replaceInside(draw: Draw, json: string): string {
  const starts = [...json.matchAll(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|null|true|false/g)];
  const found = starts.length === 0 ? undefined : draw.pick(starts);
  if (found === undefined) return hostileJson(draw);
  const end = found.index + found[0].length;
  return json.slice(0, found.index) + hostileJson(draw) + json.slice(end);
}

/** @param mutations is added to */
function mutateText(draw: Draw, text: string, mutations: string[]): string {
  const [name, mutated] = draw.pick<readonly [string, string]>([
    ["whole", hostileJson(draw)],
    ["cut", text.slice(0, draw.integer(0, text.length))],
    ["twice", text + text],
    ["trailing", `${text} ${draw.pick(["x", "]", "}", ",", "\0", "//", "null"])}`],
    ["BOM", `\u{feff}${text}`],
    ["white space", ` \r\n\t${text}\n\n`],
    ["list of it", `[${text}]`],
    ["spaces", " ".repeat(draw.pick([10, 20_000]))],
    ["empty", ""],
    ["string of it", JSON.stringify(text)],
    ["form", "type=fuzz.t1&data=1"],
  ]);
  mutations.push(`text: ${name}`);
  return mutated;
}

const NOT_UTF8 = [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe9], [0xf4, 0x90, 0x80, 0x80], [0x00], [0xfe, 0xff]];

/** @param mutations is added to */
function mutateBytes(draw: Draw, bytes: Buffer, mutations: string[]): Buffer {
  mutations.push("bytes");
  const at = draw.integer(0, bytes.length);
  switch (draw.integer(0, 3)) {
    case 0:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from(draw.pick(NOT_UTF8)), bytes.subarray(at)]);
    case 1: {
      const flipped = Buffer.from(bytes);
      if (at < bytes.length) flipped[at] = flipped[at]! ^ (1 << draw.integer(0, 7));
      return flipped;
    }
    case 2:
      return Buffer.from(bytes.toString(), "utf16le");
    default:
      return draw.bytes(draw.integer(1, 200));
  }
}
