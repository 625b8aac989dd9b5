import { page } from "./page.ts";

const RELOAD_SECONDS = 5;

export function redisAwayPage(): string {
  return page(
    "Redis is away",
    `<section>
<p class="problem" role="alert">Redis is away.</p>
<p>The queues cannot be shown until it is back. No event is lost meanwhile: events and deliveries are in Postgres, and
the workers take them up again by themselves.</p>
<p class="hint">This page looks again every ${RELOAD_SECONDS} seconds.</p>
</section>`,
    { head: `<meta http-equiv="refresh" content="${RELOAD_SECONDS}">\n` },
  );
}
