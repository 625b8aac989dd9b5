import { createRequire } from "node:module";

interface Webhook {
  name: string;
  examples: { action?: string }[];
}

/** An event type that one of the demo's subscribers cannot take: every delivery of it ends as a dead letter. */
export const POISON_TYPE = "github.ping";

/** Real webhook payloads, as GitHub sends them (npm package @octokit/webhooks-examples): one of each kind, then the next of each. */
export function realPayloads(count: number): { type: string; data: unknown }[] {
  const webhooks = createRequire(import.meta.url)("@octokit/webhooks-examples") as Webhook[];
  const all = webhooks.flatMap(({ name, examples }) =>
    examples.map((example, turn) => ({
      turn,
      type: ["github", name, ...(typeof example.action === "string" ? [example.action] : [])].join("."),
      data: example,
    })),
  );
  all.sort((a, b) => a.turn - b.turn);
  return Array.from({ length: count }, (_, index) => all[index % all.length]!).map(({ type, data }) => ({
    type,
    data,
  }));
}
