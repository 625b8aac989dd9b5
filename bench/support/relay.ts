import { withProcesses } from "@postrider/testkit/processes/managed-process.ts";
import type { DirectTask } from "../processes/direct-source.ts";
import type { Listening } from "../processes/receiver.ts";
import type { RelayTask } from "../processes/relay-server.ts";
import type { Behaviour } from "../processes/subscribers.ts";
import { readCpu } from "./cpu.ts";
import { type EventSource, startEventSource, whenReady } from "./event-source.ts";
import type { System } from "./fleet.ts";
import { startProcess } from "./processes.ts";
import { startSubscribers } from "./subscribers.ts";

const START_DEADLINE_MS = 30_000;

/** Runs `work` with an Express handler that passes events on (processes/relay-server.ts), and subscribers. */
export function withRelay<T>(behaviours: readonly Behaviour[], work: (relay: System) => Promise<T>): Promise<T> {
  return withProcesses(async (adopt) => {
    const subscribers = await startSubscribers(behaviours, 0, adopt);
    const task: RelayTask = { urls: subscribers.urls };
    const relay = adopt(startProcess("relay", "relay-server.ts", { task }));
    const { port } = await relay.next<Listening>("listening", START_DEADLINE_MS);
    const origin = `http://127.0.0.1:${port}`;
    return work({
      subscribers,
      source: (task) => startEventSource({ ...task, origin }, adopt),
      readCpu: () => readCpu({ relay: relay.pid, receiver: subscribers.pid }),
    });
  });
}

/** Subscribers, and a source that posts to them directly. */
export function withDirectSource<T>(
  behaviours: readonly Behaviour[],
  load: Omit<DirectTask, "urls">,
  work: (direct: Pick<System, "subscribers">, source: EventSource) => Promise<T>,
): Promise<T> {
  return withProcesses(async (adopt) => {
    const subscribers = await startSubscribers(behaviours, 0, adopt);
    const task: DirectTask = { ...load, urls: subscribers.urls };
    return work({ subscribers }, await whenReady(adopt(startProcess("direct source", "direct-source.ts", { task }))));
  });
}
