import { authorizationOf } from "../callers.ts";
import { type Draw, drawFor } from "../draw.ts";
import { CREDENTIALS } from "../secrets.ts";
import { generateBody } from "./body.ts";
import type { Call } from "./call.ts";
import { BODIES } from "./fields.ts";
import { generateBodyHeaders, generateHeaders, type Header } from "./headers.ts";
import { generateRaw } from "./raw-http.ts";
import { ADMIN_ROUTES, API_ROUTES, CONSOLE_ROUTES, OTHER_PATHS, type Route } from "./routes.ts";
import { type Resources, type Subject, subjectOf } from "./subject.ts";
import { generateTarget } from "./target.ts";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "QUERY"];

/** Call `number` of a seed. Only ids, keys and ports differ between two runs. */
export function generateCall(seed: number, number: number, resources: Resources): Call {
  const draw = drawFor(seed, "call", number);
  const subject = subjectOf(draw, resources);
  const kind = draw.weighted<"api" | "other" | "console" | "admin" | "raw">([
    [74, "api"],
    [4, "other"],
    [9, "console"],
    [3, "admin"],
    [10, "raw"],
  ]);
  const head = { number, caller: subject.caller };
  switch (kind) {
    case "api":
      return { ...head, server: "api", ...request(subject, pickRoute(draw, API_ROUTES)) };
    case "other": {
      const path = draw.pick(OTHER_PATHS);
      const route: Route = { method: draw.pick(["GET", "POST"]), path, id: "subscription", weight: 1 };
      return { ...head, server: "api", ...request(subject, { ...route, body: BODIES.event }) };
    }
    case "console":
      return { ...head, server: "console", ...request(subject, pickRoute(draw, CONSOLE_ROUTES), resources.session) };
    case "admin": {
      const server = draw.pick(["admin-ingest", "admin-worker", "admin-console"] as const);
      return { ...head, server, ...request(subject, pickRoute(draw, ADMIN_ROUTES)) };
    }
    case "raw":
      return { ...head, ...generateRaw(subject) };
  }
}

const pickRoute = (draw: Draw, routes: readonly Route[]): Route =>
  draw.weighted(routes.map((route) => [route.weight, route] as const));

/** A request with correct framing. @param session of the console; undefined for a call of the API */
function request(subject: Subject, route: Route, session?: string) {
  const { draw, caller } = subject;
  const method = draw.chance(0.05) ? draw.pick(METHODS) : route.method;
  const target = generateTarget(subject, route);
  const mutations = [...target.mutations];
  if (method !== route.method) mutations.push(`method ${method}`);
  const headers: Header[] = [["host", draw.chance(0.98) ? "127.0.0.1" : draw.pick(HOSTS)]];
  const isLogout = route.path === "/logout";
  if (session !== undefined && (caller === "tenant-a" || caller === "operator")) {
    // A logout would end the session of all calls.
    headers.push(
      caller === "operator" || isLogout
        ? ["authorization", `Basic ${Buffer.from(`operator:${CREDENTIALS.console}`).toString("base64")}`]
        : ["cookie", session],
    );
  } else {
    const authorization = authorizationOf(caller, draw);
    if (authorization !== undefined) headers.push(["authorization", authorization]);
  }
  headers.push(...generateHeaders(subject, mutations));
  const takesBody = !["GET", "HEAD"].includes(method) || draw.chance(0.03);
  let body: Buffer = Buffer.alloc(0);
  if (takesBody) {
    const generated = route.path === "/login" ? loginBody(draw) : generateBody(subject, route.body ?? BODIES.event);
    mutations.push(...generated.mutations);
    const encoded = generateBodyHeaders(draw, generated.value, mutations);
    body = encoded.body;
    headers.push(...encoded.headers);
    if (draw.chance(0.1)) {
      mutations.push("chunked");
      headers.push(["transfer-encoding", "chunked"]);
      body = chunked(draw, body);
    } else headers.push(["content-length", String(body.length)]);
  }
  const head = [`${method} ${target.value} HTTP/1.1`, ...headers.map(([name, value]) => `${name}: ${value}`)];
  const bytes = Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`, "latin1"), body]);
  return {
    method,
    route: `${route.method} ${route.path}`,
    mutations,
    pieces: [{ bytes }],
    ending: "read" as const,
    isAnswerDue: true,
    isRaw: headers.some(([name, value]) => ["upgrade", "connection", "expect"].includes(name) && value !== ""),
  };
}

const HOSTS = ["", "evil.example", "127.0.0.1:1", "[::1", "a b", "127.0.0.1\u00ff"];

/** Few right passwords: each makes a session. */
const loginBody = (draw: Draw) => ({
  value: Buffer.from(
    draw.pick([
      `password=${CREDENTIALS.console}`,
      "password=wrong",
      "password[]=x",
      "%",
      "a=".repeat(3_000),
      "user=x&password",
    ]),
  ),
  mutations: [],
});

function chunked(draw: Draw, body: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length;) {
    const part = body.subarray(at, at + draw.integer(1, Math.max(1, body.length >> 1)));
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n"));
    at += part.length;
  }
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
}
