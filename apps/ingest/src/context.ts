import { createBreakers } from "@postrider/shared/breaker/breakers.ts";
import type { Settings } from "@postrider/shared/runtime/settings.ts";
import { createDb } from "@postrider/shared/store/pool.ts";
import { checkDatabase, openFoundations } from "@postrider/shared/runtime/process/infrastructure.ts";
import { createFlushMetrics } from "@postrider/shared/runtime/telemetry/flush-metrics.ts";
import { createAcceptor, type Acceptor } from "./events/accept.ts";
import { createDispatcher } from "./events/dispatch.ts";
import { createIngestMetrics } from "./metrics.ts";

export type Context = Awaited<ReturnType<typeof createContext>>;

const POOL_SIZE = 20;

/** Everything that the routes need, made once; `close()` lets go of it in reverse. */
export async function createContext(settings: Settings) {
  const foundations = openFoundations("ingest", settings, POOL_SIZE);
  const { log, pool, redis, queues, registry } = foundations;
  const secretBox = await checkDatabase(foundations, Date.now);
  let acceptor: Acceptor | undefined;
  const metrics = createIngestMetrics(registry, () => acceptor?.waitingRows ?? 0);
  acceptor = createAcceptor(
    pool,
    createDispatcher(queues, redis, metrics, log),
    createFlushMetrics(registry, "accept"),
  );
  return {
    ...foundations,
    db: createDb(pool),
    metrics,
    acceptor,
    secretBox,
    breakers: createBreakers(redis, { threshold: settings.breakerThreshold, cooldownMs: settings.breakerCooldownMs }),
    async close() {
      await acceptor.idle();
      await foundations.close();
    },
  };
}
