import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { addressRules } from "@postrider/testkit/factories/address-rules.ts";
import { isSkipped } from "@postrider/testkit/must-run.ts";
import { whyNoLoopbackAddresses } from "@postrider/testkit/servers/loopback.ts";
import { createDeliveryAgent } from "./delivery-agent.ts";
import { send } from "./send.ts";

const loopback = addressRules({ allowed: "127.0.0.0/8" });

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).toReversed()) await step();
});

/** Sends to a name with these addresses. */
async function sendTo(addresses: string[], port: number, timeoutMs = 20_000) {
  const phases: string[] = [];
  const agent = createDeliveryAgent(
    loopback,
    timeoutMs,
    { lookUp: (_lookup, onResult) => (onResult({ kind: "found", addresses, ttlMs: 0 }), () => undefined) },
    (phase) => phases.push(phase),
  );
  cleanUp.push(() => agent.destroy());
  const exchange = await send(agent, {
    tenant: "default",
    url: new URL(`http://receiver.example:${port}/`),
    headers: {},
    body: Buffer.from("{}"),
    timeoutMs,
  });
  return { ...exchange, connectPhases: phases };
}

async function receiverAt(host: string, port = 0): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", () => socket.write("HTTP/1.1 204 No Content\r\n\r\n"));
  });
  await once(server.listen(port, host), "listening");
  cleanUp.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

const HUNG_RECEIVER = `
  require("node:http").createServer((request, response) => response.end()).listen(
    { port: Number(process.argv[1]), host: process.argv[2], backlog: 1 },
    function () { process.send(this.address().port); },
  );`;

/**
 * A receiver whose queue of new connections is full, so that Linux drops each handshake until the process goes on. A
 * client's system repeats a handshake after a second, then after two more.
 */
async function receiverWithoutHandshakes(host: string, port = 0): Promise<{ port: number; process: ChildProcess }> {
  const child = spawn(process.execPath, ["-e", HUNG_RECEIVER, String(port), host], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  cleanUp.push(() => child.kill("SIGKILL"));
  const [taken] = (await once(child, "message")) as [number];
  child.kill("SIGSTOP");
  const fillers: Socket[] = [];
  cleanUp.push(() => fillers.forEach((socket) => socket.destroy()));
  for (let isFull = false; !isFull;) {
    const filler = connect(taken, host).on("error", () => undefined);
    fillers.push(filler);
    isFull = await Promise.race([
      once(filler, "connect").then(() => false),
      new Promise<boolean>((resolve) => setTimeout(resolve, 500, true)),
    ]);
  }
  return { port: taken, process: child };
}

const noAddresses = await whyNoLoopbackAddresses();

describe.skipIf(process.platform !== "linux" || isSkipped(noAddresses))("a name with several addresses", () => {
  test("is reached at the second one, if the first does not answer", async () => {
    const { port } = await receiverWithoutHandshakes("127.0.0.2");
    await receiverAt("127.0.0.3", port);
    const exchange = await sendTo(["127.0.0.2", "127.0.0.3"], port);
    expect(exchange).toMatchObject({ responseStatus: 204, error: null, connectPhases: ["dns", "connect"] });
  });

  test("is reached although the first address does not answer and the second takes a second to connect", async () => {
    const { port } = await receiverWithoutHandshakes("127.0.0.2");
    const slow = await receiverWithoutHandshakes("127.0.0.3", port);
    const sending = sendTo(["127.0.0.2", "127.0.0.3", "127.0.0.4"], port);
    setTimeout(() => slow.process.kill("SIGCONT"), 600);
    expect(await sending).toMatchObject({ responseStatus: 200, error: null });
  });

  test("is reached at the first one if only that connects, however late", async () => {
    const slow = await receiverWithoutHandshakes("127.0.0.2");
    const { port } = slow;
    await receiverWithoutHandshakes("127.0.0.3", port);
    const sending = sendTo(["127.0.0.2", "127.0.0.3"], port);
    setTimeout(() => slow.process.kill("SIGCONT"), 600);
    expect(await sending).toMatchObject({ responseStatus: 200, error: null });
  });

  test("that do not answer is a timeout", async () => {
    const { port } = await receiverWithoutHandshakes("127.0.0.2");
    await receiverWithoutHandshakes("127.0.0.3", port);
    const exchange = await sendTo(["127.0.0.2", "127.0.0.3"], port, 1_000);
    expect(exchange).toMatchObject({ responseStatus: null, errorCode: "timeout" });
  });
});

describe.skipIf(isSkipped(noAddresses))(noAddresses ?? "addresses of a name, each a machine of its own", () => {
  test("an address that refuses is followed by the next one at once", async () => {
    const port = await receiverAt("127.0.0.3");
    const exchange = await sendTo(["127.0.0.2", "::1", "127.0.0.3"], port);
    expect(exchange).toMatchObject({ responseStatus: 204, error: null });
  });

  test("a name whose addresses all refuse is a refused connection", async () => {
    const port = await receiverAt("127.0.0.3");
    const exchange = await sendTo(["127.0.0.4", "127.0.0.5"], port);
    expect(exchange).toMatchObject({ errorCode: "refused", error: "connection refused (ECONNREFUSED)" });
  });

  test("addresses that are not allowed are not dialled, and a name without others is blocked", async () => {
    const port = await receiverAt("127.0.0.3");
    expect(await sendTo(["10.0.0.1", "127.0.0.3"], port)).toMatchObject({ responseStatus: 204 });
    expect(await sendTo(["10.0.0.1", "::1"], port)).toMatchObject({ errorCode: "blocked" });
  });
});
