import { connect as connectTcp, type NetConnectOpts } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { AbstractConnector, Redis, type RedisOptions } from "ioredis";
import type { Logger } from "pino";

type Options = Omit<RedisOptions, "replyMapping">;

/**
 * Errors of a server that answers and is of no use: a replica, one that loads its data or has lost its primary or its
 * replicas, and a node that does not hold the key. After a failover the name may lead to another server by now.
 */
const WRONG_SERVER = /^(?:READONLY|UNBLOCKED|LOADING|MASTERDOWN|NOREPLICAS|MOVED|CLUSTERDOWN)\b/;

/** A dial that takes longer is abandoned, and the name is looked up again. */
const CONNECT_TIMEOUT_MS = 3_000;
/** A server that accepts a connection and can't serve for this long, because it loads its data or hangs. */
const READY_TIMEOUT_MS = 3_000;
/**
 * A connection whose commands get no answer for this long is replaced. The commands in flight are sent again, so this is
 * longer than Redis may stand still under load.
 */
const SOCKET_TIMEOUT_MS = 5_000;

/** How long a server may take to close its side before the connection is destroyed. */
const DISCONNECT_TIMEOUT_MS = 300;

/** Backs off to 1 s only: BullMQ's default of 20 s left the fleet idle after Redis was back. */
const retryStrategy = (times: number): number => Math.min(100 * 2 ** Math.min(times, 4), 1_000);

/**
 * A connection to the primary that its URL leads to. It reconnects for ever, also while it is open and useless: to a
 * server that became a replica, or to one that no longer answers. So a failover needs no restart.
 *
 * Its duplicates, which BullMQ makes for blocking reads, do the same.
 */
export class PrimaryRedis extends Redis {
  readonly #log: Logger;
  readonly #resend: boolean;
  #notReady: NodeJS.Timeout | undefined;

  /** @param resend whether a command that a wrong server refused is sent to the next one, or fails */
  constructor(target: string | Options, options: Options, log: Logger, resend: boolean) {
    let isLost = false;
    // One line per outage: the client reports every failed reconnect.
    const onLost = (error: Error, message: string) => {
      if (!isLost) log.warn({ err: error }, message);
      isLost = true;
    };
    const refuse = (error: Error) => onLost(error, "Redis takes no writes; reconnecting");
    // The options are merged with the URL's. The type knows only one of the two forms.
    super(target as string, {
      ...options,
      retryStrategy,
      maxRetriesPerRequest: null,
      connectTimeout: CONNECT_TIMEOUT_MS,
      disconnectTimeout: DISCONNECT_TIMEOUT_MS,
      socketTimeout: SOCKET_TIMEOUT_MS,
      Connector: primaryConnector(refuse),
      reconnectOnError(error) {
        if (!WRONG_SERVER.test(error.message)) return false;
        refuse(error);
        return resend ? 2 : 1;
      },
    });
    this.#log = log;
    this.#resend = resend;
    this.on("error", (error: Error) => onLost(error, "Redis is unreachable; reconnecting"));
    this.on("connect", () => this.#expectReady());
    this.on("ready", () => {
      clearTimeout(this.#notReady);
      if (isLost) log.info("Redis is back");
      isLost = false;
    });
    this.on("close", () => clearTimeout(this.#notReady));
  }

  override duplicate(override?: RedisOptions): Redis {
    return new PrimaryRedis({ ...this.options, ...override }, {}, this.#log, this.#resend);
  }

  #expectReady(): void {
    const { stream } = this;
    clearTimeout(this.#notReady);
    this.#notReady = setTimeout(() => {
      stream.destroy(new Error(`Redis accepted the connection and was not ready after ${READY_TIMEOUT_MS} ms`));
    }, READY_TIMEOUT_MS);
  }
}

/** Connects as ioredis does by itself, and takes no replica for ready. */
function primaryConnector(refuse: (error: Error) => void) {
  return class PrimaryConnector extends AbstractConnector {
    readonly #options: RedisOptions;

    constructor(options: unknown) {
      super((options as { disconnectTimeout: number }).disconnectTimeout);
      this.#options = options as RedisOptions;
    }

    override check(info: { role?: string }): boolean {
      const isReplica = info.role === "slave";
      if (isReplica) refuse(new Error("it is a replica"));
      return !isReplica;
    }

    override async connect() {
      const { path, host, port, family, tls } = this.#options;
      const target = path === undefined || path === null ? { host, port, family } : { path };
      this.stream = tls
        ? connectTls({ ...target, ...tls } as ConnectionOptions)
        : connectTcp({ ...target } as NetConnectOpts);
      this.stream.once("error", (error) => (this.firstError = error));
      return this.stream;
    }
  };
}
