import { everyPage } from "@postrider/testkit/client/client.ts";
import { TENANTS } from "./callers.ts";
import type { Fleet } from "./fleet.ts";
import type { Ids, Resources } from "./generate/subject.ts";
import { inParallel } from "./parallel.ts";
import { CREDENTIALS } from "./secrets.ts";

const SUBSCRIPTIONS = 6;
const EVENTS = 6;
const IN_PARALLEL = 8;

/**
 * Removes the subscriptions that calls have left, because each takes a share of every event, and makes new ones for the
 * next calls.
 */
export async function renewResources(fleet: Fleet, session: string): Promise<Resources> {
  await removeSubscriptions(fleet);
  const [a, b] = await Promise.all([create(fleet, "tenant-a"), create(fleet, "tenant-b")]);
  return {
    own: { [TENANTS["tenant-a"]]: a, [TENANTS["tenant-b"]]: b },
    receiverUrl: fleet.receiver.url,
    session,
  };
}

export async function removeSubscriptions({ api }: Fleet): Promise<void> {
  const pages = await everyPage((query) => api.subscriptions(query), { limit: 200 });
  await inParallel(IN_PARALLEL, pages.flat(), async ({ id }) => {
    await api.call("DELETE", `/v1/subscriptions/${id}`);
  });
}

async function create(fleet: Fleet, tenant: keyof typeof TENANTS): Promise<Ids> {
  const api = fleet.clientOf(tenant);
  const mark = tenant === "tenant-a" ? "mark-a-" : "mark-b-";
  const subscription: string[] = [];
  for (let n = 0; n < SUBSCRIPTIONS; n += 1) {
    const eventTypes = n === 0 ? ["*"] : [`fuzz.t${n}`];
    const { id } = await api.subscribe({ url: `${fleet.receiver.url}/${mark}${n}`, eventTypes, description: mark });
    subscription.push(id);
  }
  const events = Array.from({ length: EVENTS }, (_, n) => ({ type: `fuzz.t${n}`, data: { text: `${mark}${n}` } }));
  const event = (await api.sendBatch(events)).map(({ id }) => id);
  const delivery = (await api.deliveries({ limit: 2 * EVENTS })).data.map(({ id }) => id);
  return { event, subscription, delivery };
}

/** The cookie of a login at the console. */
export async function logIn({ consoleUrl }: Fleet): Promise<string> {
  const response = await fetch(`${consoleUrl}/login`, {
    method: "POST",
    body: new URLSearchParams({ password: CREDENTIALS.console }),
    redirect: "manual",
  });
  const cookie = response.headers.getSetCookie()[0]?.split(";")[0];
  if (cookie === undefined) throw new Error(`the login at the console was answered with ${response.status}`);
  return cookie;
}
