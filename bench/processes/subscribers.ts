// Many subscribers in one process, each on a port of its own. The times of what the healthy ones receive are kept here
// and handed over once, because a message per request would cost as much as the request.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { onOrders, readTask, report } from "@postrider/testkit/processes/parent.ts";
import { listen } from "../../packages/shared/src/runtime/listen.ts";
import { wallClock } from "../support/wall-clock.ts";

/**
 * `healthy` answers 200 after `healthyMs`, `slow` after `slowMs`; `failing` answers 500 at once, `silent` never
 * answers.
 */
export type Behaviour = "healthy" | "slow" | "failing" | "silent";

export interface SubscribersTask {
  behaviours: readonly Behaviour[];
  /** 0 for at once. */
  healthyMs: number;
  slowMs: number;
}

/** Reported once, with the ports in the order of the behaviours. */
export interface SubscribersListening {
  kind: "listening";
  ports: number[];
}

export type SubscribersOrder =
  | { kind: "count" }
  | { kind: "report" }
  /** Makes the failing ones healthy. */
  | { kind: "mend" };

/** Answer to `count`. */
export interface Counted {
  kind: "counted";
  /** Per subscriber: distinct deliveries that it received while it was healthy. */
  received: number[];
  /** Per subscriber: all requests. */
  requests: number[];
}

/** Answer to `report`: what healthy subscribers received, repeats included, in the order of arrival. */
export interface Received {
  kind: "received";
  /** Event ids. */
  ids: string[];
  /** On the wall clock, milliseconds. */
  times: number[];
}

const { behaviours, healthyMs, slowMs } = readTask() as SubscribersTask;
const current = [...behaviours];
const requests = behaviours.map(() => 0);
const distinct = behaviours.map(() => new Set<string>());
const ids: string[] = [];
const times: number[] = [];

onOrders((message) => {
  const order = message as SubscribersOrder;
  switch (order.kind) {
    case "count":
      return report({ kind: "counted", received: distinct.map(({ size }) => size), requests } satisfies Counted);
    case "report":
      return report({ kind: "received", ids, times } satisfies Received);
    case "mend":
      for (const [index, behaviour] of current.entries()) if (behaviour === "failing") current[index] = "healthy";
  }
});

const ports: number[] = [];
for (const index of behaviours.keys()) {
  const server = createServer((request, response) => {
    request.resume().once("end", () => answer(index, request, response));
  });
  ports.push(await listen(server, "127.0.0.1", [0]));
}
report({ kind: "listening", ports } satisfies SubscribersListening);

function answer(index: number, request: IncomingMessage, response: ServerResponse): void {
  requests[index]! += 1;
  switch (current[index]!) {
    case "healthy": {
      const id = String(request.headers["webhook-id"]);
      // Several subscriptions may share a port, each with a path of its own.
      distinct[index]!.add(`${id} ${request.url}`);
      ids.push(id);
      times.push(wallClock());
      if (healthyMs === 0) return finish(response, 200);
      setTimeout(() => finish(response, 200), healthyMs);
      return;
    }
    case "slow":
      setTimeout(() => finish(response, 200), slowMs);
      return;
    case "failing":
      return finish(response, 500);
    case "silent":
  }
}

function finish(response: ServerResponse, status: number): void {
  response.writeHead(status, { "content-type": "text/plain", "content-length": 2 }).end(status === 200 ? "ok" : "no");
}
