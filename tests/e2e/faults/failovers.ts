import type { PostgresPair } from "@postrider/testkit/servers/postgres-pair.ts";
import type { RedisPair } from "@postrider/testkit/servers/redis-pair.ts";

/** Each makes the replica the primary. When it returns, the name leads there. */
export const redisFailovers = {
  /** The old primary stays up as a replica, and keeps its connections. */
  async demoted(pair: RedisPair): Promise<void> {
    await pair.promote();
    await pair.rejoin();
    pair.forwarder.leadTo(pair.primary.url);
  },
  /** The old primary's machine is lost: its connections stay open and carry nothing. */
  async silent(pair: RedisPair): Promise<void> {
    pair.forwarder.silence();
    pair.forwarder.leadNowhere();
    await pair.promote();
    pair.forwarder.leadTo(pair.primary.url);
    await pair.rejoin();
  },
  /** The old primary is killed, and is back as a replica at once. */
  async killed(pair: RedisPair): Promise<void> {
    await pair.primary.kill("SIGKILL");
    await pair.promote();
    pair.forwarder.leadTo(pair.primary.url);
    await pair.replica.restart();
    await pair.rejoin();
  },
};

export const postgresFailovers = {
  /** The old primary stays up, and answers only reads. */
  async readOnly(pair: PostgresPair): Promise<void> {
    await pair.refuseWrites();
    await pair.promote();
    pair.forwarder.leadTo(pair.replica.url);
  },
  /** The old primary's machine is lost: its connections stay open and carry nothing. */
  async silent(pair: PostgresPair): Promise<void> {
    pair.forwarder.silence();
    pair.forwarder.leadNowhere();
    await pair.promote();
    pair.forwarder.leadTo(pair.replica.url);
  },
  /** The old primary stays up and knows nothing: each of its commits waits for the replica it has lost. */
  async isolated(pair: PostgresPair): Promise<void> {
    await pair.promote();
    pair.forwarder.leadTo(pair.replica.url);
  },
  async killed(pair: PostgresPair): Promise<void> {
    await pair.primary.kill("SIGQUIT");
    await pair.promote();
    pair.forwarder.leadTo(pair.replica.url);
  },
};
