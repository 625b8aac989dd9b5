import type { DirectTask } from "../processes/direct-source.ts";
import type { Listening } from "../processes/receiver.ts";
import type { RelayTask } from "../processes/relay-server.ts";
import type { Behaviour } from "../processes/subscribers.ts";
import { Child, withChildren } from "./child.ts";
import { readCpu } from "./cpu.ts";
import { type EventSource, startEventSource, whenReady } from "./event-source.ts";
import type { System } from "./fleet.ts";
import { startSubscribers } from "./subscribers.ts";

const START_DEADLINE_MS = 30_000;

/** Runs `work` with an Express handler that passes events on (processes/relay-server.ts), and subscribers. */
export function withRelay<T>(behaviours: readonly Behaviour[], work: (relay: System) => Promise<T>): Promise<T> {
  return withChildren(async (adopt) => {
    const subscribers = await startSubscribers(behaviours, 0, adopt);
    const task: RelayTask = { urls: subscribers.urls };
    const relay = adopt(new Child("relay", new URL("../processes/relay-server.ts", import.meta.url), { task }));
    const { port } = await relay.next<Listening>("listening", START_DEADLINE_MS);
    const origin = `http://127.0.0.1:${port}`;
    return work({
      subscribers,
      source: (task) => startEventSource({ ...task, origin }, adopt),
      readCpu: () => readCpu({ relay: relay.pid, receiver: subscribers.pid }),
    });
  });
}

/** Subscribers, and a source that posts to them with nobody in between. */
export function withDirectSource<T>(
  behaviours: readonly Behaviour[],
  load: Omit<DirectTask, "urls">,
  work: (direct: Pick<System, "subscribers">, source: EventSource) => Promise<T>,
): Promise<T> {
  return withChildren(async (adopt) => {
    const subscribers = await startSubscribers(behaviours, 0, adopt);
    const task: DirectTask = { ...load, urls: subscribers.urls };
    const script = new URL("../processes/direct-source.ts", import.meta.url);
    return work({ subscribers }, await whenReady(adopt(new Child("direct source", script, { task }))));
  });
}
