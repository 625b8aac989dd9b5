// A subscriber: reads the body, answers 200, counts. Reports the times of the first and the last expected request.
import { createServer } from "node:http";
import { readTask, report } from "@postrider/testkit/processes/parent.ts";
import { listen } from "../../packages/shared/src/runtime/listen.ts";

export interface ReceiverTask {
  /** Distinct `webhook-id`s to wait for. */
  expected: number;
}

export interface Listening {
  kind: "listening";
  port: number;
}

export interface FirstReceived {
  kind: "first";
}

export interface AllReceived {
  kind: "all";
  /** From the first request to the one that completed the count, milliseconds. */
  durationMs: number;
  /** Up to then, repeats included. */
  requests: number;
}

const { expected } = readTask() as ReceiverTask;
const seen = new Set<string>();
let requests = 0;
let firstAt = 0;

const server = createServer((request, response) => {
  request.resume().once("end", () => {
    response.writeHead(200, { "content-type": "text/plain", "content-length": 2 }).end("ok");
    count(String(request.headers["webhook-id"]));
  });
});

function count(id: string): void {
  requests += 1;
  if (requests === 1) {
    firstAt = performance.now();
    report({ kind: "first" } satisfies FirstReceived);
  }
  const isComplete = seen.size < expected && seen.add(id).size === expected;
  if (isComplete) report({ kind: "all", durationMs: performance.now() - firstAt, requests } satisfies AllReceived);
}

report({ kind: "listening", port: await listen(server, "127.0.0.1", [0]) } satisfies Listening);
