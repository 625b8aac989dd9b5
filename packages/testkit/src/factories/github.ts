import webhooksJson from "@octokit/webhooks-examples/api.github.com/index.json" with { type: "json" };

/** An event as the API takes it. */
export interface ExampleEvent {
  type: string;
  data: unknown;
}

interface Webhook {
  name: string;
  examples: { action?: unknown }[];
}

const webhooks = webhooksJson as readonly unknown[] as readonly Webhook[];

/** Several hundred payloads that GitHub really sent, 10 kB on average and 27 kB at most, grouped by kind. */
export const githubEvents: readonly ExampleEvent[] = webhooks.flatMap((webhook) =>
  webhook.examples.map((example) => eventOf(webhook.name, example)),
);

/**
 * The same with the kinds mixed: one event of each kind, then the next of each; from the start again after the last.
 */
export function mixedGithubEvents(count: number): ExampleEvent[] {
  const turns = webhooks.flatMap(({ name, examples }) =>
    examples.map((example, turn) => ({ turn, event: eventOf(name, example) })),
  );
  turns.sort((a, b) => a.turn - b.turn);
  return Array.from({ length: count }, (_, index) => turns[index % turns.length]!.event);
}

/** The first payload of each kind. */
export const oneGithubEventPerKind = (): ExampleEvent[] =>
  webhooks.map(({ name, examples }) => ({ type: `github.${name}`, data: examples[0] }));

function eventOf(name: string, data: { action?: unknown }): ExampleEvent {
  return { type: ["github", name, ...(typeof data.action === "string" ? [data.action] : [])].join("."), data };
}
