// The subscribers, in a process of their own: they outlive every fault and write down what they take.
import { createHash } from "node:crypto";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { Behaviour, FromReceiver, RawReceipt, ToReceiver } from "./receivers.ts";

/** How long each subscriber works on an event, in turn: a worker that is hit always has something on the wire. */
const WORK_MS = [15, 60, 200, 400];
/** This share of the events is refused so many times before it is taken, so that an emptied Redis always held retries. */
const FLAKY = { share: 0.15, refusals: 2 };
const DRIP_MS = 50;

const behaviours = new Map<string, Behaviour>();
const receipts: RawReceipt[] = [];
const refusals: RawReceipt[] = [];
/** Subscriber and event → how often it was refused for being flaky. */
const flaky = new Map<string, number>();

const server = createServer((request, response) => {
  const subscriber = (request.url ?? "/").slice(1);
  const event = String(request.headers["webhook-id"]);
  request.resume();
  response.on("error", () => undefined);
  request.on("end", () => {
    const told = behaviours.get(subscriber) ?? "work";
    const behaviour = told === "work" && isRefused(subscriber, event) ? "fail" : told;
    // From here on the subscriber has the event, whether or not its answer finds anybody.
    (behaviour === "work" ? receipts : refusals).push([subscriber, event, Date.now()]);
    void answer(response, behaviour, subscriber);
  });
});

function isRefused(subscriber: string, event: string): boolean {
  const chance = createHash("sha256").update(event).digest()[0]! / 256;
  if (chance >= FLAKY.share) return false;
  const pair = `${subscriber} ${event}`;
  const times = flaky.get(pair) ?? 0;
  flaky.set(pair, times + 1);
  return times < FLAKY.refusals;
}

async function answer(response: ServerResponse, behaviour: Behaviour, subscriber: string): Promise<void> {
  switch (behaviour) {
    case "work":
      await pause(WORK_MS[Number(subscriber.split("-")[1]) % WORK_MS.length]);
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
