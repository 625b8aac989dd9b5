import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Makes a process listen for the DevTools protocol on a free port, and write its address to its log. */
export const INSPECTED = { NODE_OPTIONS: "--inspect=127.0.0.1:0" } as const;

const ANSWER_WITHIN_MS = 60_000;

/**
 * What a process holds after a full collection. Its resident memory says little: V8 keeps what it may need again.
 *
 * @returns bytes of the heap and of buffers
 */
export async function readHeap(logFolder: string, name: string): Promise<number> {
  const log = readFileSync(join(logFolder, `${name}.log`), "utf8").slice(0, 100_000);
  const address = /^Debugger listening on (ws:\S+)$/m.exec(log)?.[1];
  if (address === undefined) throw new Error(`${name} has no debugger`);
  const socket = new WebSocket(address);
  try {
    await event(socket, "open");
    // Finalizers of the first collection release what the second one collects.
    for (let n = 0; n < 2; n += 1) await call(socket, "HeapProfiler.collectGarbage");
    const { result } = await call(socket, "Runtime.evaluate", {
      expression: "(({ heapUsed, external }) => heapUsed + external)(process.memoryUsage())",
      returnByValue: true,
    });
    return Number((result as { value: unknown }).value);
  } finally {
    socket.close();
  }
}

async function call(socket: WebSocket, method: string, params: object = {}): Promise<Record<string, unknown>> {
  const answer = event(socket, "message");
  socket.send(JSON.stringify({ id: 1, method, params }));
  const { data } = (await answer) as MessageEvent;
  return (JSON.parse(String(data)) as { result: Record<string, unknown> }).result;
}

const event = (socket: WebSocket, name: "open" | "message"): Promise<Event> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the debugger did not send "${name}"`)), ANSWER_WITHIN_MS);
    socket.addEventListener(name, (event) => resolve(event), { once: true });
    socket.addEventListener("error", () => reject(new Error("the debugger closed the connection")), { once: true });
    socket.addEventListener(name, () => clearTimeout(timer), { once: true });
  });
