// Posts straight to subscribers at a steady rate: what a delivery takes when nobody is in between.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Agent } from "undici";
import { deliveredBody, eventAt } from "../support/payloads.ts";
import { wallClock } from "../support/wall-clock.ts";
import type { Offered, Ready } from "./event-source.ts";
import { hear, readTask, tell } from "./parent.ts";

export interface DirectTask {
  urls: readonly string[];
  events: number;
  perSecond: number;
}

const { urls, events, perSecond } = readTask() as DirectTask;
const targets = urls.map((url) => new URL(url));
const agent = new Agent({ pipelining: 1 });
const report: Offered = {
  kind: "offered",
  durationMs: 0,
  accepted: 0,
  refused: 0,
  ids: [],
  targets: [],
  sentTimes: [],
  acceptedTimes: [],
};

const go = new Promise<void>((resolve) => hear(() => resolve()));
tell({ kind: "ready" } satisfies Ready);
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
  report.accepted += 1;
  report.ids.push(id);
  report.targets.push(target);
  report.sentTimes.push(sentAt);
  report.acceptedTimes.push(wallClock());
}
report.durationMs = wallClock() - startedAt;
tell(report);
