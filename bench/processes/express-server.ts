// The least that an Express service can do with an event: read the JSON, answer 202. Nothing is stored.
import { createServer } from "node:http";
import express from "express";
import { listen } from "../../packages/shared/src/runtime/listen.ts";
import { tell } from "./parent.ts";
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
tell({ kind: "listening", port: await listen(createServer(app), "127.0.0.1", [0]) } satisfies Listening);
