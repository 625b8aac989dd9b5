// The receiver of all deliveries: plain TCP, because no HTTP server would send such answers.
import { type AddressInfo, createServer, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { onOrders, readTask, report } from "@postrider/testkit/processes/parent.ts";
import type { Answer } from "../answers/answer.ts";
import { generateAnswer } from "../answers/generate.ts";
import type { Collected, ReceiverReport, ReceiverTask } from "../answers/receiver.ts";

const { seed } = readTask() as ReceiverTask;
const OK = Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
const MAX_WRONG = 20;

/** Requests by the number of their answer. */
let served = new Map<number, number>();
let wrong: string[] = [];

const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  let received = Buffer.alloc(0);
  let isBusy = false;
  socket.on("error", () => undefined);
  socket.on("end", () => socket.end());
  socket.on("data", (chunk) => {
    received = Buffer.concat([received, chunk]);
    if (!isBusy) void serve();
  });

  async function serve(): Promise<void> {
    isBusy = true;
    for (let request = takeRequest(); request !== undefined; request = takeRequest()) {
      await respond(socket, request.head, request.body);
    }
    isBusy = false;
  }

  function takeRequest(): { head: string; body: string } | undefined {
    const headEnd = received.indexOf("\r\n\r\n");
    if (headEnd === -1) return undefined;
    const head = received.toString("latin1", 0, headEnd);
    const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
    const end = headEnd + 4 + length;
    if (received.length < end) return undefined;
    const body = received.toString("utf8", headEnd + 4, end);
    received = received.subarray(end);
    return { head, body };
  }
});

async function respond(socket: Socket, head: string, body: string): Promise<void> {
  // The answer before it has ended the connection: this request gets none, and the client does not know it yet.
  if (socket.writableEnded) return;
  inspect(head, body);
  const number = answerNumber(body);
  if (number === undefined) return void socket.write(OK);
  const times = (served.get(number) ?? 0) + 1;
  served.set(number, times);
  if (times > 1) return void socket.write(OK);
  const answer = generateAnswer(seed, number);
  for (const { bytes, afterMs } of answer.pieces) {
    if (afterMs > 0) await pause(afterMs);
    if (socket.destroyed) return;
    socket.write(bytes);
  }
  end(socket, answer.ending);
}

function end(socket: Socket, ending: Answer["ending"]): void {
  switch (ending) {
    case "keep":
    case "silence":
      return;
    case "close":
      return void socket.end();
    case "reset":
      return void socket.resetAndDestroy();
  }
}

const answerNumber = (body: string): number | undefined => {
  const number = /"answer":(\d+)/.exec(body)?.[1];
  return number === undefined ? undefined : Number(number);
};

/** Each subscription's path has the mark of its tenant, and so has each event's data. */
function inspect(head: string, body: string): void {
  const [requestLine = ""] = head.split("\r\n", 1);
  const isMixed =
    (requestLine.includes("mark-a-") && body.includes("mark-b-")) ||
    (requestLine.includes("mark-b-") && body.includes("mark-a-"));
  const problem = requestLine.includes("/followed") ? "followed a redirect" : isMixed ? "data of another tenant" : "";
  if (problem !== "" && wrong.length < MAX_WRONG) wrong.push(`${problem}: ${requestLine} ${body.slice(0, 300)}`);
}

onOrders(() => {
  const collected: Collected = { served: [...served], wrong };
  report({ kind: "collected", ...collected } satisfies ReceiverReport);
  served = new Map();
  wrong = [];
});
// Ctrl-C reaches the whole process group; the run still has to collect what arrived.
process.on("SIGINT", () => undefined);
server.listen(0, "127.0.0.1", () => {
  report({ kind: "listening", port: (server.address() as AddressInfo).port } satisfies ReceiverReport);
});
