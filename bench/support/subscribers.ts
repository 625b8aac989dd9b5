import type {
  Behaviour,
  Counted,
  Received,
  SubscribersListening,
  SubscribersOrder,
  SubscribersTask,
} from "../processes/subscribers.ts";
import { type Adopt, startProcess } from "./processes.ts";

/** How long a slow subscriber takes to answer 200. */
const SLOW_MS = 10_000;

const START_DEADLINE_MS = 30_000;
const ANSWER_DEADLINE_MS = 30_000;

/** The subscribers of a measurement, all in one process. */
export interface Subscribers {
  pid: number;
  /** In the order of their behaviours. */
  urls: readonly string[];
  count(): Promise<Counted>;
  /** How many distinct deliveries the first `subscribers` of them, or all, received while they were healthy. */
  received(subscribers?: number): Promise<number>;
  report(): Promise<Received>;
  /** Makes the failing ones healthy. */
  mend(): void;
}

export async function startSubscribers(
  behaviours: readonly Behaviour[],
  healthyMs: number,
  adopt: Adopt,
): Promise<Subscribers> {
  const task: SubscribersTask = { behaviours, healthyMs, slowMs: SLOW_MS };
  const child = adopt(startProcess("subscribers", "subscribers.ts", { task }));
  const { ports } = await child.next<SubscribersListening>("listening", START_DEADLINE_MS);
  const order = (what: SubscribersOrder) => child.send(what);
  const count = () => {
    order({ kind: "count" });
    return child.next<Counted>("counted", ANSWER_DEADLINE_MS);
  };
  return {
    pid: child.pid,
    urls: ports.map((port) => `http://127.0.0.1:${port}/hook`),
    count,
    async received(subscribers) {
      const { received } = await count();
      return received.slice(0, subscribers).reduce((sum, one) => sum + one, 0);
    },
    report() {
      order({ kind: "report" });
      return child.next<Received>("received", ANSWER_DEADLINE_MS);
    },
    mend: () => order({ kind: "mend" }),
  };
}

/** Addresses that drop every SYN without a reply. */
export async function startBlackHoles(count: number, adopt: Adopt): Promise<string[]> {
  const child = adopt(startProcess("black hole", "black-hole.ts", { task: { count } }));
  const { ports } = await child.next<SubscribersListening>("listening", START_DEADLINE_MS);
  return ports.map((port) => `http://127.0.0.1:${port}/hook`);
}
