import { Resolver } from "node:dns";

/** How often the system's list of servers is read again. */
const REFRESH_MS = 10_000;
/** How long the server that answered last is asked first, although it is not the first of the list. */
const PREFER_MS = 60_000;

/** The DNS servers, from a setting or from the system (`/etc/resolv.conf`). */
export class DnsServers {
  readonly #configured: readonly string[] | undefined;
  #servers: readonly string[] = [];
  #readAt = Number.NEGATIVE_INFINITY;
  #preferred: { server: string; since: number } | undefined;

  constructor(configured?: readonly string[]) {
    this.#configured = configured;
  }

  /** In the order in which to ask them. */
  inOrder(): string[] {
    const now = performance.now();
    if (this.#configured !== undefined) this.#servers = this.#configured;
    else if (now - this.#readAt >= REFRESH_MS) {
      this.#servers = new Resolver().getServers();
      this.#readAt = now;
    }
    const preferred = this.#preferred && now - this.#preferred.since < PREFER_MS ? this.#preferred.server : undefined;
    return [...this.#servers].sort((a, b) => Number(b === preferred) - Number(a === preferred));
  }

  /** Notes the server that has answered. */
  prefer(server: string): void {
    if (this.#preferred?.server === server || server === this.inOrder()[0]) return;
    this.#preferred = { server, since: performance.now() };
  }
}
