// The minimal Express service for an event: parse the JSON, answer 202. Nothing is stored.
import { createServer } from "node:http";
import express from "express";
import { report } from "@postrider/testkit/processes/parent.ts";
import { listen } from "../../packages/shared/src/runtime/listen.ts";
import type { Listening } from "./receiver.ts";

const app = express();
app.use(express.json({ limit: "10mb" }));
app.post("/v1/events", (request, response) => {
  const event = request.body as { type: string };
  response.status(202).json({ type: event.type });
});
app.post("/v1/events/batch", (request, response) => {
  const batch = request.body as { events: { type: string }[] };
  response.status(202).json({ data: batch.events.map(({ type }) => ({ type })) });
});
report({ kind: "listening", port: await listen(createServer(app), "127.0.0.1", [0]) } satisfies Listening);
