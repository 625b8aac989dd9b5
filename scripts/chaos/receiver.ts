// The subscribers, in a process of their own: they outlive every fault and write down what they take.
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { Behaviour, FromReceiver, RawReceipt, ToReceiver } from "./receivers.ts";

/** As long as a quick subscriber takes, so that a killed worker always has something on the wire. */
const WORK_MS = 15;
const DRIP_MS = 50;

const behaviours = new Map<string, Behaviour>();
const receipts: RawReceipt[] = [];
const refusals: RawReceipt[] = [];

const server = createServer((request, response) => {
  const subscriber = (request.url ?? "/").slice(1);
  const event = String(request.headers["webhook-id"]);
  request.resume();
  response.on("error", () => undefined);
  request.on("end", () => {
    const behaviour = behaviours.get(subscriber) ?? "work";
    // From here on the subscriber has the event, whether or not its answer finds anybody.
    (behaviour === "work" ? receipts : refusals).push([subscriber, event, Date.now()]);
    void answer(response, behaviour);
  });
});

async function answer(response: ServerResponse, behaviour: Behaviour): Promise<void> {
  switch (behaviour) {
    case "work":
      await pause(WORK_MS);
      response.writeHead(200).end("ok");
      return;
    case "fail":
      response.writeHead(500).end("on purpose");
      return;
    case "hang":
      return;
    case "drip": {
      response.writeHead(200);
      const timer = setInterval(() => response.write("."), DRIP_MS);
      response.on("close", () => clearInterval(timer));
      return;
    }
    case "reset":
      response.socket?.resetAndDestroy();
  }
}

const tell = (message: FromReceiver): void => void process.send!(message);

process.on("message", (message: ToReceiver) => {
  switch (message.kind) {
    case "behave":
      for (const subscriber of message.subscribers) behaviours.set(subscriber, message.behaviour);
      tell({ kind: "done" });
      return;
    case "tell":
      tell({ kind: "told", receipts, refusals });
  }
});
process.on("disconnect", () => process.exit(0));
// A Ctrl-C is meant for the run, which still wants to hear what was received.
process.on("SIGINT", () => undefined);
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => tell({ kind: "listening", port: (server.address() as AddressInfo).port }));
