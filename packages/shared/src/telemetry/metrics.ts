import { collectDefaultMetrics, Registry } from "prom-client";

/** A registry with the process's own figures (CPU, memory, event-loop lag) and a label that names the app. */
export function createRegistry(app: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ app });
  collectDefaultMetrics({ register: registry });
  return registry;
}
