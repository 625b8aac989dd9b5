import { createBreakers } from "@postrider/shared/breaker/breakers.ts";
import { checkDatabase, openInfrastructure } from "@postrider/shared/runtime/process/infrastructure.ts";
import { NameResolver } from "@postrider/shared/runtime/dns/name-resolver.ts";
import type { IngestSettings } from "@postrider/shared/runtime/settings/ingest.ts";
import { createFlushMetrics } from "@postrider/shared/runtime/telemetry/flush-metrics.ts";
import { createDb } from "@postrider/shared/store/pool.ts";
import { createAcceptor, type Acceptor } from "./events/accept.ts";
import { createDispatcher } from "./events/dispatch.ts";
import { createIngestMetrics } from "./metrics.ts";

export type Context = Awaited<ReturnType<typeof createContext>>;

const POOL_SIZE = 20;

/** Creates what the routes need. `close()` closes it in reverse order. */
export async function createContext(settings: IngestSettings) {
  const infrastructure = openInfrastructure("ingest", settings, { poolSize: POOL_SIZE });
  const { log, pool, redis, queues, registry } = infrastructure;
  const secretBox = await checkDatabase(infrastructure, settings);
  let acceptor: Acceptor | undefined;
  const metrics = createIngestMetrics(registry, () => acceptor?.waitingRows ?? 0);
  acceptor = createAcceptor(
    pool,
    createDispatcher(queues, redis, metrics, log),
    createFlushMetrics(registry, "accept"),
  );
  const resolver = new NameResolver({ servers: settings.dnsServers, log, registry });
  return {
    ...infrastructure,
    settings,
    resolver,
    /** Draining: the process is being stopped, and still answers requests. */
    lifecycle: { isDraining: false },
    db: createDb(pool),
    metrics,
    acceptor,
    secretBox,
    breakers: createBreakers(redis, settings.breaker),
    async close() {
      resolver.close();
      await acceptor.idle();
      await infrastructure.close();
    },
  };
}
