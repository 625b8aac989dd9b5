import { Redis } from "ioredis";

/** @returns how many commands a Redis has run so far, including those of scripts */
export async function countRedisCommands(url: string): Promise<number> {
  const redis = new Redis(url);
  const info = await redis.info("stats");
  redis.disconnect();
  const count = /total_commands_processed:(\d+)/.exec(info)?.[1];
  if (count === undefined) throw new Error("this Redis does not say total_commands_processed");
  return Number(count);
}
