import type { EventSourceTask, Offered, Ready } from "../processes/event-source.ts";
import { Child } from "./child.ts";
import { API_KEY } from "./postrider.ts";

const START_DEADLINE_MS = 30_000;

/** Events that are ready to be posted. */
export interface EventSource {
  /** Begins to post. */
  go(): void;
  /** Waits until it has posted all. */
  done(withinMs: number): Promise<Offered>;
}

export async function startEventSource(
  task: Omit<EventSourceTask, "apiKey">,
  adopt: (child: Child) => Child,
): Promise<EventSource> {
  const script = new URL("../processes/event-source.ts", import.meta.url);
  return whenReady(adopt(new Child("event source", script, { task: { ...task, apiKey: API_KEY } })));
}

/** @param child that says when it is ready, posts when it is told to, and says in the end what it has posted */
export async function whenReady(child: Child): Promise<EventSource> {
  await child.next<Ready>("ready", START_DEADLINE_MS);
  return {
    go: () => child.send({ kind: "go" }),
    done: (withinMs) => child.next<Offered>("offered", withinMs),
  };
}
