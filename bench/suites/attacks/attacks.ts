import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { startDnsServer } from "@postrider/testkit/servers/dns.ts";
import type { Env } from "@postrider/testkit/processes/managed-process.ts";
import type { Database } from "../../support/database.ts";
import type { Fleet } from "../../support/fleet.ts";
import { API_KEY } from "../../support/postrider.ts";
import { seedSubscriptions } from "../../support/seed.ts";
import { insertOldDeliveries, makePartitions } from "../growth/rows.ts";

/** The tenant that attacks. */
export const ATTACKER = "attacker";

interface Scene {
  fleet: Fleet;
  database: Database;
  healthyUrl: string;
  silentUrl: string;
  /** Aborted when the attack must end. */
  signal: AbortSignal;
}

/** Something that one tenant does. */
export interface Attack {
  name: string;
  /** Settings of Postrider's processes. */
  env?: Env;
  /** Makes what the settings need, for as long as it is measured. */
  open?: () => Promise<{ env: Env; close: () => Promise<void> }>;
  /**
   * Prepares it before the workers are started.
   *
   * @returns carries it out until the signal is aborted; `note` counts the requests that it has made
   */
  start(scene: Scene): Promise<(note: (requests?: number) => void) => Promise<void>>;
}

const HANGING = 600;
const EVENTS_EACH = 4;
const WIDE = 1_000;
const WIDEST = 100_000;
const LARGE_BATCH = 1_000;
const LISTED = 1_500_000;
const DAYS = 10;
const READERS = 64;
const MEBIBYTE = 1024 * 1024;
const OPEN_BODIES = 150;
const RING = 5;
const DEAD_NAMES = 256;
/** More than the default, so that an attack is not refused for it. */
const MANY_SUBSCRIPTIONS = { MAX_SUBSCRIPTIONS_PER_TENANT: "1000000" };

const post = (fleet: Fleet, path: string, body: unknown) => fleet.api.call("POST", path, { body });

/** Repeats a request over `connections` connections until the end. */
async function flood(
  signal: AbortSignal,
  connections: number,
  request: () => Promise<unknown>,
  note: (requests?: number) => void,
): Promise<void> {
  const repeat = async () => {
    while (!signal.aborted) {
      await request().catch(() => undefined);
      note();
    }
  };
  await Promise.all(Array.from({ length: connections }, repeat));
}

const event = { type: "bench.attack", data: {}, tenant: ATTACKER };

const hangingReceivers: Attack = {
  name: `${HANGING} hanging receivers`,
  async start({ fleet, database, silentUrl }) {
    await seedSubscriptions(database, { tenant: ATTACKER, url: silentUrl, count: HANGING });
    return async (note) => {
      for (let number = 0; number < EVENTS_EACH; number += 1) {
        await post(fleet, "/v1/events", event);
        note();
      }
    };
  },
};

const silentNameServers: Attack = {
  name: `${DEAD_NAMES} host names whose servers never answer`,
  async open() {
    const dns = await startDnsServer({ "dead.example": "silent" });
    return { env: { DNS_SERVERS: dns.address }, close: () => dns.close() };
  },
  async start({ fleet, signal }) {
    // Each waits for its look-up to fail.
    await Promise.all(
      Array.from({ length: DEAD_NAMES }, (_, number) =>
        fleet.subscribe({ url: `http://receiver-${number}.dead.example/hook`, tenant: ATTACKER }),
      ),
    );
    return (note) => flood(signal, 1, () => post(fleet, "/v1/events", event).then(() => sleep(1_000)), note);
  },
};

const largeBatches: Attack = {
  name: `9 batches of ${LARGE_BATCH} events for ${WIDE} subscriptions each`,
  async start({ fleet, database, healthyUrl }) {
    await seedSubscriptions(database, { tenant: ATTACKER, url: healthyUrl, count: WIDE });
    const events = Array.from({ length: LARGE_BATCH }, () => event);
    return async (note) => {
      await Promise.all(
        Array.from({ length: 9 }, async () => {
          await post(fleet, "/v1/events/batch", { events });
          note();
        }),
      );
    };
  },
};

const wideEvents: Attack = {
  name: `20 events and a batch of 20 for ${WIDEST} subscriptions`,
  env: MANY_SUBSCRIPTIONS,
  async start({ fleet, database, healthyUrl }) {
    for (let made = 0; made < WIDEST; made += 10_000) {
      await seedSubscriptions(database, { tenant: ATTACKER, url: healthyUrl, count: 10_000 });
    }
    await database.run("analyze subscriptions, subscription_patterns");
    return async (note) => {
      const single = async () => {
        await post(fleet, "/v1/events", event);
        note();
      };
      const batch = post(fleet, "/v1/events/batch", { events: Array.from({ length: 20 }, () => event) });
      await Promise.all([batch, ...Array.from({ length: 20 }, single)]);
    };
  },
};

const lists: Attack = {
  name: `${READERS} lists at once of few among ${LISTED} deliveries`,
  async start({ fleet, database, signal }) {
    await makePartitions(database, DAYS);
    await insertOldDeliveries(database, LISTED, DAYS, () => undefined);
    return (note) => flood(signal, READERS, () => fleet.api.call("GET", `/v1/deliveries?tenant=${ATTACKER}`), note);
  },
};

const badBodies: Attack = {
  name: "bodies of 1 MiB of unknown members, and of colliding texts",
  async start({ fleet, signal }) {
    const members = Array.from({ length: MEBIBYTE / 16 }, (_, index) => `"unknown-${index}":0`).join(",");
    const unknown = `{"type":"bench.attack","data":{},${members}}`;
    const texts = Array.from({ length: (9 * MEBIBYTE) / 12 }, (_, index) => `"${index * 65_536}"`).join(",");
    const colliding = `{"events":[{"type":"bench.attack","tenant":"${ATTACKER}","data":[${texts}]}]}`;
    const bodies = [
      { path: "/v1/events", raw: unknown },
      { path: "/v1/events/batch", raw: colliding },
    ];
    let turn = 0;
    return (note) =>
      flood(
        signal,
        4,
        () => {
          const { path, raw } = bodies[(turn += 1) % bodies.length]!;
          return fleet.api.call("POST", path, { raw });
        },
        note,
      );
  },
};

const openBodies: Attack = {
  name: `${OPEN_BODIES} bodies of 10 MiB whose last byte is missing`,
  async start({ fleet, signal }) {
    const { hostname, port } = new URL(fleet.api.baseUrl);
    const size = 10 * MEBIBYTE;
    const head = [
      "POST /v1/events/batch HTTP/1.1",
      `host: ${hostname}:${port}`,
      `authorization: Bearer ${API_KEY}`,
      "content-type: application/json",
      `content-length: ${size}`,
      "",
      "",
    ].join("\r\n");
    const body = Buffer.alloc(size - 1, " ");
    return async (note) => {
      const open = () =>
        new Promise<void>((resolve) => {
          const socket = connect(Number(port), hostname, () => {
            socket.write(head);
            socket.write(body);
            note();
          });
          socket.resume();
          socket.on("error", () => undefined);
          socket.on("close", () => resolve());
          signal.addEventListener("abort", () => socket.destroy(), { once: true });
        });
      await Promise.all(Array.from({ length: OPEN_BODIES }, open));
    };
  },
};

const rings: Attack = {
  name: `${RING} subscriptions in a ring`,
  async start({ fleet, silentUrl }) {
    const { api } = fleet;
    const headers = { authorization: `Bearer ${API_KEY}` };
    const ids: string[] = [];
    for (let number = 0; number < RING; number += 1) {
      const { id } = await api.subscribe({ url: silentUrl, tenant: ATTACKER, eventTypes: [`ring.at-${number}`] });
      ids.push(id);
      await api.changeSubscription(id, { headers });
    }
    return async (note) => {
      const deliveries: string[] = [];
      for (let number = 0; number < RING; number += 1) {
        const { id } = await api.send({ type: `ring.at-${number}`, data: {}, tenant: ATTACKER });
        deliveries.push((await api.eventDeliveries(id)).data[0]!.id);
        note();
      }
      for (const [number, id] of ids.entries()) {
        const next = deliveries[(number + 1) % RING]!;
        await api.changeSubscription(id, { url: `${api.baseUrl}/v1/deliveries/${next}/retry` });
      }
      for (const id of deliveries) await post(fleet, `/v1/deliveries/${id}/retry`, {});
    };
  },
};

export const ATTACKS: readonly Attack[] = [
  hangingReceivers,
  silentNameServers,
  largeBatches,
  wideEvents,
  lists,
  badBodies,
  openBodies,
  rings,
];
