import { randomBytes } from "node:crypto";
import { startThrowawayRedis, type Throwaway } from "../../../../scripts/services/index.ts";
import { waitFor } from "../wait.ts";
import { type Forwarder, startForwarder } from "./forwarder.ts";
import { withRedis } from "./redis.ts";

/** Two Redis servers, one a replica of the other, and a port that leads to the primary. */
export interface RedisPair {
  /** Leads through the forwarder. */
  readonly url: string;
  readonly forwarder: Forwarder;
  readonly primary: Throwaway;
  readonly replica: Throwaway;
  /** Makes the replica the primary. The old one knows nothing of it, and the forwarder still leads there. */
  promote(): Promise<void>;
  /** Makes the old primary a replica of the new one. */
  rejoin(): Promise<void>;
  stop(): Promise<void>;
}

export async function startRedisPair(dir: string): Promise<RedisPair> {
  const password = randomBytes(16).toString("hex");
  const start = () => startThrowawayRedis(dir, { password, args: ["--repl-diskless-sync-delay", "0"] });
  let [primary, replica] = await Promise.all([start(), start()]);
  const forwarder = await startForwarder(primary.url);
  await follow(replica, primary, password);
  return {
    url: forwarder.through(primary.url),
    forwarder,
    get primary() {
      return primary;
    },
    get replica() {
      return replica;
    },
    async promote() {
      await withRedis(replica.url, (redis) => redis.replicaof("NO", "ONE"));
      [primary, replica] = [replica, primary];
    },
    rejoin: () => follow(replica, primary, password),
    async stop() {
      await Promise.all([forwarder.close(), primary.stop(), replica.stop()]);
    },
  };
}

async function follow(replica: Throwaway, primary: Throwaway, password: string): Promise<void> {
  await withRedis(replica.url, async (redis) => {
    await redis.config("SET", "masterauth", password);
    await redis.replicaof("127.0.0.1", Number(new URL(primary.url).port));
    await waitFor("the replica follows", async () =>
      (await redis.info("replication")).includes("master_link_status:up"),
    );
  });
}
