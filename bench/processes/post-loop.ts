// The minimal cost of sending: posts the same bodies with undici at a fixed concurrency, and does nothing else.
import { Pool } from "undici";
import { onOrders, readTask } from "@postrider/testkit/processes/parent.ts";
import { deliveredBody, eventAt, eventCount } from "../support/payloads.ts";

export interface PostLoopTask {
  origin: string;
  deliveries: number;
  /** The number of the first event; every loop has its own. */
  from: number;
  concurrency: number;
}

const { origin, deliveries, from, concurrency } = readTask() as PostLoopTask;
const pool = new Pool(origin, { connections: concurrency, pipelining: 1 });
const bodies = Array.from({ length: eventCount }, (_, index) => deliveredBody(eventAt(index)));
let sent = 0;

// Stays until the last loop is done, when its CPU time is read.
onOrders(() => undefined);
await Promise.all(Array.from({ length: concurrency }, post));

async function post(): Promise<void> {
  while (sent < deliveries) {
    const number = from + sent;
    sent += 1;
    const headers = { "content-type": "application/json", "webhook-id": `msg_${number}` };
    const body = bodies[number % bodies.length]!;
    const response = await pool.request({ method: "POST", path: "/hook", headers, body });
    await response.body.text();
    if (response.statusCode !== 200) throw new Error(`answered ${response.statusCode}`);
  }
}
