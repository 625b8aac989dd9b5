import type { Draw } from "../draw.ts";
import type { Value } from "./fields.ts";
import type { Route } from "./routes.ts";
import type { Subject } from "./subject.ts";
import { hostileText } from "./values.ts";
import type { Generated } from "./body.ts";

/** The path and query of a request line, or a mutation of one; code units are bytes. */
export function generateTarget(subject: Subject, route: Route): Generated<string> {
  const mutations: string[] = [];
  const path = route.path
    .split("/")
    .map((part) => (part.startsWith(":") ? parameter(subject, part, route, mutations) : part))
    .join("/");
  const query = route.query === undefined ? "" : generateQuery(subject, route.query, mutations);
  return { value: (path + query).replaceAll(/\s/g, "") || "/", mutations };
}

/** The path has the id of something that belongs to the other tenant. */
export const FOREIGN_ID = ":id foreign";

const BOARD_QUEUES = ["dispatch", "retry", "control", "dead-letters"];

function parameter(subject: Subject, name: string, { id }: Route, mutations: string[]): string {
  const { draw, own, foreign } = subject;
  const valid = id === undefined ? [] : own[id];
  if (draw.chance(0.7)) {
    if (name === ":queue") return draw.pick(BOARD_QUEUES);
    if (name === ":name") return draw.pick(["api.md", "metrics.md", "..%2fREADME.md"]);
    if (valid.length > 0) return draw.pick(valid);
  }
  const others = id === undefined ? [] : foreign[id];
  const mutation = draw.weighted<"foreign" | "hostile" | "changed" | "kind">([
    [4, "foreign"],
    [3, "hostile"],
    [2, "changed"],
    [1, "kind"],
  ]);
  mutations.push(`${name} ${mutation}`);
  if (mutation === "foreign" && others.length > 0) return draw.pick(others);
  if (mutation === "changed" && valid.length > 0) return change(draw, draw.pick(valid));
  if (mutation === "kind") return draw.pick([...own.event, ...own.subscription, ...own.delivery, "x"]);
  return hostileText(draw);
}

function change(draw: Draw, id: string): string {
  return draw.pick([
    id.toUpperCase(),
    id.slice(0, -1),
    `${id}0`,
    `${id}%00`,
    `%20${id}`,
    `${id}%2f..`,
    id.replace("_", "-"),
    `${id.slice(0, -1)}${id.endsWith("a") ? "b" : "a"}`,
    encodeURIComponent(id).replace("_", "%5f"),
    `${id},${id}`,
    `${id};v=1`,
  ]);
}

function generateQuery(subject: Subject, fields: Readonly<Record<string, Value>>, mutations: string[]): string {
  const { draw } = subject;
  const pairs = Object.entries(fields)
    .filter(() => draw.chance(0.35))
    .map(([name, value]) => `${name}=${value(subject)}`);
  if (draw.chance(0.45)) {
    const names = [...Object.keys(fields), "limit", "tenant", "__proto__", "x"];
    const name = draw.pick(names);
    const [mutation, text] = draw.weighted<readonly [string, string]>([
      [6, ["hostile", `${name}=${hostileText(draw)}`]],
      [1, ["twice", `${name}=1&${name}=2`]],
      [1, ["list", `${name}[]=1`]],
      [1, ["object", `${name}[a][b]=c`]],
      [1, ["bare", name]],
      [1, ["separators", "&&==&%3d&?"]],
      [1, ["other tenant", `tenant=${subject.otherTenant}`]],
      [3, ["foreign id", foreignIdQuery(subject, fields)]],
      [1, ["many", Array.from({ length: 1_500 }, (_, n) => `q${n}=1`).join("&")]],
    ]);
    mutations.push(`query: ${mutation} ${name}`);
    pairs.push(text);
  }
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

const ID_FIELDS = ["cursor", "after", "subscription", "event"] as const;

/** A list from a place in the other tenant's list, or of what belongs to something of the other tenant. */
function foreignIdQuery(subject: Subject, fields: Readonly<Record<string, Value>>): string {
  const names = ID_FIELDS.filter((name) => fields[name] !== undefined);
  if (names.length === 0) return "cursor=evt_x";
  const name = subject.draw.pick(names);
  return `${name}=${fields[name]!({ ...subject, own: subject.foreign })}`;
}
