import { type DemoResult, type DemoSubscriber, DOWN_MS, POISON_TYPE, TENANT } from "./scenario.ts";

/** Prints the result. @returns whether every check passed */
export function report(result: DemoResult, consoleUrl: string, isRunning: boolean): boolean {
  const all = Object.values(result.subscribers);
  const deliveries = all.reduce((sum, subscriber) => sum + subscriber.deliveries.length, 0);
  const seconds = (result.tookMs / 1000).toFixed(1);
  console.log(`\n${result.acceptedAt.size} events accepted, ${deliveries} deliveries, in ${seconds} s\n`);
  console.table(Object.fromEntries(all.map((subscriber) => [subscriber.name, row(subscriber)])));
  printLatencies(result);
  const checks = check(result);
  console.log();
  for (const [guarantee, holds] of checks) console.log(`  ${holds ? "✓" : "✗"} ${guarantee}`);
  const [deadLetter] = poisonOf(result.subscribers.picky);
  console.log(lookNext(deadLetter?.id, consoleUrl, isRunning));
  return checks.every(([, holds]) => holds);
}

const row = (subscriber: DemoSubscriber) => ({
  deliveries: subscriber.deliveries.length,
  delivered: count(subscriber, "delivered"),
  retried: subscriber.deliveries.filter(({ attemptCount }) => attemptCount > 1).length,
  held: count(subscriber, "held"),
  dead: count(subscriber, "dead"),
  requests: subscriber.requests,
  "signatures verified": subscriber.verified,
});

const count = ({ deliveries }: DemoSubscriber, status: string): number =>
  deliveries.filter((delivery) => delivery.status === status).length;

const poisonOf = ({ deliveries }: DemoSubscriber) => deliveries.filter(({ eventType }) => eventType === POISON_TYPE);

function printLatencies({ subscribers, acceptedAt }: DemoResult): void {
  const latencies = [...subscribers.works.receivedAt]
    .map(([id, at]) => Math.max(0, at - acceptedAt.get(id)!))
    .sort((a, b) => a - b);
  const percentile = (share: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
  console.log(`From the 202 to the receipt at "works": p50 ${percentile(0.5)} ms, p95 ${percentile(0.95)} ms`);
}

function check({ subscribers, acceptedAt }: DemoResult): [guarantee: string, holds: boolean][] {
  const { works, recovers, dead, picky } = subscribers;
  const events = acceptedAt.size;
  const hasAll = (subscriber: DemoSubscriber) =>
    count(subscriber, "delivered") === events && subscriber.receivedAt.size === events;
  const poison = poisonOf(picky);
  return [
    [`every event reached "works"`, hasAll(works)],
    [`every event reached "recovers", although it was down for ${DOWN_MS / 1000} s`, hasAll(recovers)],
    [
      `nothing for "dead" was lost, and it cost ${dead.requests} requests`,
      count(dead, "dead") + count(dead, "held") === events,
    ],
    [
      `${POISON_TYPE} ended as a dead letter at "picky"`,
      poison.length > 0 && poison.every(({ status }) => status === "dead") && count(picky, "dead") === poison.length,
    ],
    [
      "every signature was genuine",
      Object.values(subscribers).every((subscriber) => subscriber.verified === subscriber.requests),
    ],
  ];
}

function lookNext(deadLetter: string | undefined, consoleUrl: string, isRunning: boolean): string {
  const open = isRunning ? "" : "  npm start                 starts Postrider again, with the same data\n";
  return `
Where to look next
${open}  ${consoleUrl}/queues/queue/retry?status=failed    the dead letters in Bull Board; Retry there is a manual retry
  GET /v1/deliveries/${deadLetter ?? "{id}"}    a dead letter and its attempts
  GET /v1/subscriptions?tenant=${TENANT}                   the four subscriptions, their breakers and held deliveries`;
}
