import { AsyncLocalStorage } from "node:async_hooks";

/** For whom a request is sent. */
export interface Requester {
  tenant: string;
  /** For the whole exchange. */
  timeoutMs: number;
}

/** undici passes nothing of a request to its connector, so the connector finds this here. */
export const requester = new AsyncLocalStorage<Requester>();
