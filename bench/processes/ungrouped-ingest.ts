// Ingest without group commit: every request runs its own accept statement.
import { createServer } from "node:http";
import { report } from "@postrider/testkit/processes/parent.ts";
import { createAcceptor, type Acceptor } from "../../apps/ingest/src/events/accept.ts";
import { createApp } from "../../apps/ingest/src/http/app.ts";
import { createContext } from "../../apps/ingest/src/context.ts";
import { createDispatcher } from "../../apps/ingest/src/events/dispatch.ts";
import { readIngestSettings } from "../../packages/shared/src/runtime/settings/ingest.ts";
import { listen } from "../../packages/shared/src/runtime/listen.ts";
import type { Listening } from "./receiver.ts";

const settings = readIngestSettings(process.env);
const context = await createContext(settings);
const dispatch = createDispatcher(context.queues, context.redis, context.metrics, context.log);
const acceptor: Acceptor = {
  // An acceptor that lives for one request has nothing to group.
  accept: (events) => createAcceptor(context.pool, dispatch).accept(events),
  waitingRows: 0,
  idle: async () => undefined,
};
const server = createServer(createApp({ ...context, acceptor }));
report({ kind: "listening", port: await listen(server, "127.0.0.1", [0]) } satisfies Listening);
