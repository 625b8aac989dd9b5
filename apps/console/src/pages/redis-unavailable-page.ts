import { page } from "./page.ts";

const RELOAD_SECONDS = 5;

export function redisUnavailablePage(): string {
  return page(
    "Redis is unreachable",
    `<section>
<p class="problem" role="alert">Redis is unreachable.</p>
<p>The queues are shown again when Redis is back. No event is lost: events and deliveries are in Postgres, and the
workers go on by themselves.</p>
<p class="hint">This page reloads every ${RELOAD_SECONDS} seconds.</p>
</section>`,
    { head: `<meta http-equiv="refresh" content="${RELOAD_SECONDS}">\n` },
  );
}
