// Posts events for its targets in turn: at a fixed rate, or each as soon as the previous one is answered.
import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "undici";
import { onOrders, readTask, report } from "@postrider/testkit/processes/parent.ts";
import { payloadTexts } from "../support/payloads.ts";
import { wallClock } from "../support/wall-clock.ts";

/** The tenant and type of an event, and so its subscriber. */
export interface Target {
  tenant: string;
  type: string;
  /** Chooses its payloads: the same number always gets the same payloads. */
  number: number;
}

export interface EventSourceTask {
  origin: string;
  apiKey: string;
  targets: readonly Target[];
  /** In all; rounded up to whole requests. */
  events: number;
  /** 1 posts single events, more posts batches. */
  eventsPerRequest: number;
  /** How large each event's data is; undefined for the payloads as they are. */
  payloadBytes?: number;
  connections: number;
  /** Events per second; undefined for as fast as they are answered. */
  perSecond?: number;
  /** Stops at this moment, even if events are left. */
  stopAfterMs?: number;
  /** Whether to report each event's id and times, or only their number. */
  isTraced: boolean;
}

export interface Ready {
  kind: "ready";
}

export interface Offered {
  kind: "offered";
  durationMs: number;
  /** Events answered 202. */
  accepted: number;
  /** Requests answered 503; they were repeated until they were accepted. */
  refused: number;
  /** Of traced events, in the order of the answers. */
  ids: string[];
  /** The number of each one's target. */
  targets: number[];
  /** When each was due to be posted, so that posting late counts as waiting. Wall clock, milliseconds. */
  sentTimes: number[];
  /** When its 202 arrived. */
  acceptedTimes: number[];
}

const REFUSED_PAUSE_MS = 20;

const task = readTask() as EventSourceTask;
const { targets, eventsPerRequest, isTraced } = task;
const pool = new Pool(task.origin, { connections: task.connections, pipelining: 1 });
const headers = { "content-type": "application/json", authorization: `Bearer ${task.apiKey}` };
const path = eventsPerRequest === 1 ? "/v1/events" : "/v1/events/batch";
const payloads = payloadTexts(task.payloadBytes);
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
const requestCount = Math.ceil(task.events / eventsPerRequest);
const requestEveryMs = task.perSecond === undefined ? 0 : (eventsPerRequest / task.perSecond) * 1000;
let next = 0;
await Promise.all(Array.from({ length: task.connections }, offer));
offered.durationMs = wallClock() - startedAt;
report(offered);

async function offer(): Promise<void> {
  while (next < requestCount && !isOver()) {
    const number = next;
    next += 1;
    const dueAt = requestEveryMs === 0 ? wallClock() : startedAt + number * requestEveryMs;
    if (dueAt > wallClock()) await sleep(dueAt - wallClock());
    await postUntilTaken(number * eventsPerRequest, dueAt);
  }
}

function isOver(): boolean {
  return task.stopAfterMs !== undefined && wallClock() - startedAt >= task.stopAfterMs;
}

async function postUntilTaken(from: number, dueAt: number): Promise<void> {
  const body = bodyOf(from);
  while (!isOver()) {
    const answer = await pool.request({ method: "POST", path, headers, body });
    const text = await answer.body.text();
    if (answer.statusCode === 202) return note(text, from, dueAt);
    if (answer.statusCode !== 503) throw new Error(`answered ${answer.statusCode}: ${text}`);
    offered.refused += 1;
    await sleep(REFUSED_PAUSE_MS);
  }
}

function note(text: string, from: number, dueAt: number): void {
  offered.accepted += eventsPerRequest;
  if (!isTraced) return;
  const acceptedAt = wallClock();
  const answer = JSON.parse(text) as { id: string } | { data: { id: string }[] };
  for (const [index, { id }] of ("data" in answer ? answer.data : [answer]).entries()) {
    offered.ids.push(id);
    offered.targets.push(targetAt(from + index).number);
    offered.sentTimes.push(dueAt);
    offered.acceptedTimes.push(acceptedAt);
  }
}

function targetAt(index: number): Target {
  return targets[index % targets.length]!;
}

/** Concatenated text: serialising ten kilobytes per event would make this process the bottleneck. */
function bodyOf(from: number): Buffer {
  const events = Array.from({ length: eventsPerRequest }, (_, index) => jsonOf(from + index));
  return Buffer.from(eventsPerRequest === 1 ? events[0]! : `{"events":[${events.join(",")}]}`);
}

function jsonOf(index: number): string {
  const { tenant, type, number } = targetAt(index);
  const turn = Math.floor(index / targets.length);
  // A prime, so that a target's payloads differ from turn to turn.
  const payload = payloads[(turn * 101 + number) % payloads.length]!;
  return `{"type":"${type}","tenant":"${tenant}","data":${payload}}`;
}
