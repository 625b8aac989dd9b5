// The minimal service that delivers: an Express handler that forwards an event to its subscriber and answers when the
// subscriber has. Nothing is stored, signed or retried.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import express from "express";
import { Agent } from "undici";
import { readTask, report } from "@postrider/testkit/processes/parent.ts";
import { listen } from "../../packages/shared/src/runtime/listen.ts";
import type { Listening } from "./receiver.ts";

export interface RelayTask {
  /** The subscribers, which get the events in turn. */
  urls: readonly string[];
}

const { urls } = readTask() as RelayTask;
const targets = urls.map((url) => new URL(url));
const agent = new Agent({ pipelining: 1 });
let turn = 0;

const app = express();
app.use(express.json({ limit: "10mb" }));
app.post("/v1/events", async (request, response) => {
  const { type, data } = request.body as { type: string; data: unknown };
  const { origin, pathname } = targets[turn % targets.length]!;
  turn += 1;
  const id = randomUUID();
  const headers = { "content-type": "application/json", "webhook-id": id };
  const body = JSON.stringify({ type, timestamp: new Date().toISOString(), data });
  const answer = await agent.request({ origin, path: pathname, method: "POST", headers, body });
  await answer.body.dump();
  response.status(answer.statusCode === 200 ? 202 : 502).json({ id });
});
report({ kind: "listening", port: await listen(createServer(app), "127.0.0.1", [0]) } satisfies Listening);
