// Posts events over a fixed number of keep-alive connections, each sending its next request when the last is answered.
import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "undici";
import { readTask, report } from "@postrider/testkit/processes/parent.ts";
import { eventAt, eventCount, payloadTexts } from "../support/payloads.ts";

export interface LoadTask {
  origin: string;
  apiKey: string;
  connections: number;
  /** Events per request; 1 posts single events, more posts batches. */
  eventsPerRequest: number;
  /** How large each event's data is; undefined for the payloads as they are. */
  payloadBytes?: number;
  warmUpMs: number;
  measureMs: number;
}

/** Reported at the start and the end of the measurement, for reading the servers' CPU time. */
export interface Turn {
  kind: "begin" | "end";
}

export interface LoadReport {
  kind: "load";
  durationMs: number;
  /** Answered 202 while measuring. */
  events: number;
  /** Answered otherwise while measuring. */
  refused: number;
  /** Answered 202 at any time, warm-up and requests that ended after the measurement included. */
  eventsInAll: number;
  /** Of requests answered 202 while measuring, milliseconds, unsorted. */
  latenciesMs: number[];
}

const DISTINCT_BATCHES = 16;
const REFUSED_PAUSE_MS = 20;

const task = readTask() as LoadTask;
const pool = new Pool(task.origin, { connections: task.connections, pipelining: 1 });
const headers = { "content-type": "application/json", authorization: `Bearer ${task.apiKey}` };
const path = task.eventsPerRequest === 1 ? "/v1/events" : "/v1/events/batch";
const payloads = payloadTexts(task.payloadBytes);
const bodies = task.eventsPerRequest === 1 ? singleBodies() : batchBodies(task.eventsPerRequest);

const load: LoadReport = { kind: "load", durationMs: 0, events: 0, refused: 0, eventsInAll: 0, latenciesMs: [] };
let phase: "warm-up" | "measuring" | "over" = "warm-up";
let sent = 0;

const posting = Promise.all(Array.from({ length: task.connections }, post));
await sleep(task.warmUpMs);
report({ kind: "begin" } satisfies Turn);
const startedAt = performance.now();
phase = "measuring";
await sleep(task.measureMs);
load.durationMs = performance.now() - startedAt;
phase = "over";
report({ kind: "end" } satisfies Turn);
await posting;
report(load);

async function post(): Promise<void> {
  while (goesOn()) {
    const body = bodies[sent % bodies.length]!;
    sent += 1;
    const askedAt = performance.now();
    const { statusCode, body: answer } = await pool.request({ method: "POST", path, headers, body });
    await answer.dump();
    if (statusCode === 202) {
      load.eventsInAll += task.eventsPerRequest;
      if (phase === "measuring") {
        load.events += task.eventsPerRequest;
        load.latenciesMs.push(performance.now() - askedAt);
      }
    } else {
      if (statusCode !== 503) throw new Error(`answered ${statusCode}`);
      if (phase === "measuring") load.refused += task.eventsPerRequest;
      await sleep(REFUSED_PAUSE_MS);
    }
  }
}

function goesOn(): boolean {
  return phase !== "over";
}

function singleBodies(): Buffer[] {
  return Array.from({ length: eventCount }, (_, index) => Buffer.from(eventJson(index)));
}

function batchBodies(size: number): Buffer[] {
  return Array.from({ length: DISTINCT_BATCHES }, (_, batch) => {
    const events = Array.from({ length: size }, (_, index) => eventJson(batch * size + index));
    return Buffer.from(`{"events":[${events.join(",")}]}`);
  });
}

function eventJson(index: number): string {
  return `{"type":"${eventAt(index).type}","data":${payloads[index % payloads.length]!}}`;
}
