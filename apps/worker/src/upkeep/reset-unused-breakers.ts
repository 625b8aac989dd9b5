import { findInUse } from "@postrider/shared/store/sql/find-in-use.ts";
import type { Context } from "../context.ts";

const PAGE = 500;

/**
 * Resets the breakers of subscriptions that were disabled or deleted. That happens at once as well, but Redis may have
 * been unreachable then, and requests that were under way may have opened the breaker again. Nothing probes such a
 * subscription, so its breaker would be counted as open for a week.
 *
 * @returns how many were reset
 */
export async function resetUnusedBreakers({ breakers, pool }: Pick<Context, "breakers" | "pool">): Promise<number> {
  const ids = await breakers.notClosed();
  let reset = 0;
  for (let from = 0; from < ids.length; from += PAGE) {
    const page = ids.slice(from, from + PAGE);
    const inUse = new Set(await findInUse(pool, page));
    const unused = page.filter((id) => !inUse.has(id));
    await Promise.all(unused.map((id) => breakers.apply(id, { kind: "reset" })));
    reset += unused.length;
  }
  return reset;
}
