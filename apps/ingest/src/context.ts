import { createBreakers } from "@postrider/shared/breaker/breakers.ts";
import { checkDatabase, openInfrastructure } from "@postrider/shared/runtime/process/infrastructure.ts";
import type { IngestSettings } from "@postrider/shared/runtime/settings/ingest.ts";
import { createFlushMetrics } from "@postrider/shared/runtime/telemetry/flush-metrics.ts";
import { createDb } from "@postrider/shared/store/pool.ts";
import { createAcceptor, type Acceptor } from "./events/accept.ts";
import { TenantBacklogs } from "./events/backlog.ts";
import { createDispatcher } from "./events/dispatch.ts";
import { BodyMemory } from "./http/body-memory.ts";
import { createBodyReader } from "./http/request-body.ts";
import { createIngestMetrics } from "./metrics.ts";
import { SubscriptionQuota } from "./subscriptions/quota.ts";

export type Context = Awaited<ReturnType<typeof createContext>>;

const POOL_SIZE = 20;

/** Creates what the routes need. `close()` closes it in reverse order. */
export async function createContext(settings: IngestSettings) {
  const infrastructure = openInfrastructure("ingest", settings, { poolSize: POOL_SIZE });
  const { log, pool, redis, queues, registry } = infrastructure;
  const secretBox = await checkDatabase(infrastructure, settings);
  let acceptor: Acceptor | undefined;
  const bodyMemory = new BodyMemory(settings.bodyMemoryBytes);
  const metrics = createIngestMetrics(registry, {
    waitingRows: () => acceptor?.waitingRows ?? 0,
    bodyBytes: () => bodyMemory.held,
  });
  acceptor = createAcceptor(
    pool,
    createDispatcher(queues, redis, metrics, log),
    createFlushMetrics(registry, "accept"),
  );
  return {
    ...infrastructure,
    settings,
    /** Draining: the process is being stopped, and still answers requests. */
    lifecycle: { isDraining: false },
    db: createDb(pool),
    metrics,
    acceptor,
    backlogs: new TenantBacklogs(settings.maxBacklogPerTenant, pool),
    subscriptionQuota: new SubscriptionQuota(settings.maxSubscriptionsPerTenant),
    readBody: createBodyReader(bodyMemory, settings.bodyTimeoutMs),
    secretBox,
    breakers: createBreakers(redis, settings.breaker),
    async close() {
      await acceptor.idle();
      await infrastructure.close();
    },
  };
}
