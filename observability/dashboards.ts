// The Grafana dashboards. write-dashboards.ts generates Grafana's JSON (grafana/dashboards/) from them.
import { delivery } from "./dashboards/delivery.ts";
import { ingest } from "./dashboards/ingest.ts";
import { overview } from "./dashboards/overview.ts";
import type { Dashboard } from "./dashboards/panels.ts";
import { stores } from "./dashboards/stores.ts";
import { subscribers } from "./dashboards/subscribers.ts";
import { workers } from "./dashboards/workers.ts";

export const DASHBOARDS: readonly Dashboard[] = [overview, delivery, subscribers, workers, ingest, stores];
