import { createBreakers } from "@postrider/shared/breaker/breakers.ts";
import { createClientAddress } from "@postrider/shared/runtime/client-address.ts";
import { checkDatabase, openInfrastructure } from "@postrider/shared/runtime/process/infrastructure.ts";
import { NameResolver } from "@postrider/shared/runtime/dns/name-resolver.ts";
import type { IngestSettings } from "@postrider/shared/runtime/settings/ingest.ts";
import { createFlushMetrics } from "@postrider/shared/runtime/telemetry/flush-metrics.ts";
import { READ_PLANS } from "@postrider/shared/store/bounded-list.ts";
import { createDb } from "@postrider/shared/store/pool.ts";
import { createAcceptor, type Acceptor } from "./events/accept.ts";
import { TenantBacklogs } from "./events/backlog.ts";
import { createDispatcher } from "./events/dispatch.ts";
import { BodyMemory } from "./http/body-memory.ts";
import { createReadLimit } from "./http/read-limit.ts";
import { createBodyReader } from "./http/request-body.ts";
import { createIngestMetrics } from "./metrics.ts";
import { HeldReader } from "./subscriptions/held-reader.ts";
import { SubscriptionQuota } from "./subscriptions/quota.ts";
import { createHeaderStore } from "./subscriptions/stored-headers.ts";

export type Context = Awaited<ReturnType<typeof createContext>>;

const POOL_SIZE = 20;
/** Reads that run or wait, for each connection of their pool. */
const READS_PER_CONNECTION = 16;

/** Creates what the routes need. `close()` closes it in reverse order. */
export async function createContext(settings: IngestSettings) {
  const infrastructure = openInfrastructure("ingest", settings, {
    poolSize: POOL_SIZE,
    reads: { poolSize: settings.readPoolSize, timeoutMs: settings.readTimeoutMs, serverSettings: READ_PLANS },
  });
  const { log, pool, readPool, redis, queues, registry } = infrastructure;
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
  const resolver = new NameResolver({
    servers: settings.dnsServers,
    rules: settings.addressRules,
    log,
    registry,
  });
  return {
    ...infrastructure,
    settings,
    resolver,
    clientAddress: createClientAddress(settings.trustedProxies),
    /** Draining: the process is being stopped, and still answers requests. */
    lifecycle: { isDraining: false },
    db: createDb(pool),
    readDb: createDb(readPool),
    limitReads: createReadLimit(
      {
        perTenant: settings.readsPerTenant,
        total: settings.readPoolSize * READS_PER_CONNECTION,
        slots: settings.readPoolSize,
      },
      metrics,
    ),
    heldReader: new HeldReader(),
    metrics,
    acceptor,
    backlogs: new TenantBacklogs(settings.maxBacklogPerTenant, readPool, () => metrics.backlogCountFailures.inc()),
    subscriptionQuota: new SubscriptionQuota(settings.maxSubscriptionsPerTenant),
    readBody: createBodyReader(bodyMemory, settings.bodyTimeoutMs),
    secretBox,
    headerStore: createHeaderStore(pool, secretBox),
    breakers: createBreakers(redis, settings.breaker),
    async close() {
      resolver.close();
      await acceptor.idle();
      await infrastructure.close();
    },
  };
}
