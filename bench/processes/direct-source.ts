// Posts directly to subscribers at a steady rate: the lower bound of a delivery's latency.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Agent } from "undici";
import { onOrders, readTask, report } from "@postrider/testkit/processes/parent.ts";
import { deliveredBody, eventAt } from "../support/payloads.ts";
import { wallClock } from "../support/wall-clock.ts";
import type { Offered, Ready } from "./event-source.ts";

export interface DirectTask {
  urls: readonly string[];
  events: number;
  perSecond: number;
}

const { urls, events, perSecond } = readTask() as DirectTask;
const targets = urls.map((url) => new URL(url));
const agent = new Agent({ pipelining: 1 });
const offered: Offered = {
  kind: "offered",
  durationMs: 0,
  accepted: 0,
  refused: 0,
  ids: [],
  targets: [],
  sentTimes: [],
  acceptedTimes: [],
};

const go = new Promise<void>((resolve) => onOrders(() => resolve()));
report({ kind: "ready" } satisfies Ready);
await go;

const startedAt = wallClock();
for (let number = 0; number < events; number += 1) {
  const dueAt = startedAt + (number / perSecond) * 1000;
  if (dueAt > wallClock()) await sleep(dueAt - wallClock());
  const target = number % targets.length;
  const { origin, pathname } = targets[target]!;
  const id = randomUUID();
  const sentAt = wallClock();
  const answer = await agent.request({
    origin,
    path: pathname,
    method: "POST",
    headers: { "content-type": "application/json", "webhook-id": id },
    body: deliveredBody(eventAt(number)),
  });
  await answer.body.dump();
  offered.accepted += 1;
  offered.ids.push(id);
  offered.targets.push(target);
  offered.sentTimes.push(sentAt);
  offered.acceptedTimes.push(wallClock());
}
offered.durationMs = wallClock() - startedAt;
report(offered);
