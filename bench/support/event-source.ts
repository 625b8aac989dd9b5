import type { ManagedProcess } from "@postrider/testkit/processes/managed-process.ts";
import type { EventSourceTask, Offered, Ready } from "../processes/event-source.ts";
import { API_KEY } from "./postrider.ts";
import { type Adopt, startProcess } from "./processes.ts";

const START_DEADLINE_MS = 30_000;

/** Events that are ready to be posted. */
export interface EventSource {
  /** Begins to post. */
  go(): void;
  /** Waits until it has posted all. */
  done(withinMs: number): Promise<Offered>;
}

export async function startEventSource(task: Omit<EventSourceTask, "apiKey">, adopt: Adopt): Promise<EventSource> {
  return whenReady(adopt(startProcess("event source", "event-source.ts", { task: { ...task, apiKey: API_KEY } })));
}

/** @param source reports when it is ready, posts after the order `go`, and reports at the end what it has posted */
export async function whenReady(source: ManagedProcess): Promise<EventSource> {
  await source.next<Ready>("ready", START_DEADLINE_MS);
  return {
    go: () => source.send({ kind: "go" }),
    done: (withinMs) => source.next<Offered>("offered", withinMs),
  };
}
