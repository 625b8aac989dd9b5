import { headerCredential, signingSecret } from "../secrets.ts";
import type { Ids, Subject } from "./subject.ts";

/** A valid value: JSON text in a body, plain text in a query. */
export type Value = (subject: Subject) => string;

const WORDS = "abcdefghijklmnopqrstuvwxyz0123456789";
const json = (value: unknown) => JSON.stringify(value);
const marked = ({ draw, mark }: Subject, length = 6) => mark + draw.text(length, WORDS);

/** Few, so that subscriptions match. */
const eventType: Value = ({ draw }) => `fuzz.t${draw.integer(0, 9)}`;

const tenant: Value = (subject) => subject.tenant;
const jsonTenant: Value = (subject) => json(subject.tenant);
const time: Value = ({ draw }) =>
  draw.pick(["2026-01-31T12:00:00Z", "2020-01-01", "2099-12-31T00:00:00%2B02:00", "2026-05-05T05:05:05.123Z"]);
const id =
  (kind: keyof Ids): Value =>
  ({ draw, own }) =>
    own[kind].length === 0 ? "" : draw.pick(own[kind]);

/** The first call has no cursor yet. */
const cursor: Value = (subject) => subject.draw.pick(["", id("event")(subject), "0", "AAAA"]);

const data: Value = (subject) =>
  subject.draw.pick([
    () => json({ text: marked(subject), n: subject.draw.integer(-5, 5), nested: { list: [1, null, true] } }),
    () => json(marked(subject, 400)),
    () => json([marked(subject), "\u202e\u00e9\u{1f600}"]),
    () => `{"big":12345678901234567890,"same":1.10,"text":"${marked(subject)}"}`,
    () => "null",
  ])();

const pattern: Value = (subject) =>
  subject.draw.pick([json([eventType(subject)]), json(["fuzz.*"]), json(["*"]), json([eventType(subject), "a.b.*"])]);

const headers: Value = (subject) => {
  const { draw } = subject;
  return json({
    ...(draw.chance(0.6) ? { authorization: `Bearer ${headerCredential(draw)}` } : {}),
    ...(draw.chance(0.3) ? { "x-api-key": headerCredential(draw) } : {}),
    "x-plain": marked(subject),
  });
};

const EVENT = { type: ((subject) => json(eventType(subject))) as Value, data };

const SUBSCRIPTION: Record<string, Value> = {
  url: (subject) => json(`${subject.receiverUrl}/${marked(subject)}`),
  eventTypes: pattern,
  description: (subject) => json(marked(subject, 20)),
  headers,
  rateLimit: ({ draw }) => draw.pick(["null", "1", "100", "100000"]),
  maxInFlight: ({ draw }) => draw.pick(["1", "32", "1000"]),
  timeoutMs: ({ draw }) => draw.pick(["null", "10", "1000", "60000"]),
  retrySchedule: ({ draw }) => draw.pick(["null", "[]", '["1s"]', '["2s","5m"]', '"standard"']),
  metadata: (subject) => json({ note: marked(subject), n: 1, list: [1, "a", null] }),
};

const secret: Value = ({ draw }) => json(signingSecret(draw));

/** The members of a body that a route takes; `required` ones first. */
export interface BodyShape {
  required: Readonly<Record<string, Value>>;
  optional: Readonly<Record<string, Value>>;
}

const { url, ...optionalOfSubscription } = SUBSCRIPTION;

export const BODIES = {
  event: { required: EVENT, optional: { tenant: jsonTenant } },
  batch: {
    required: {
      events: (subject) =>
        `[${Array.from({ length: subject.draw.integer(1, 12) }, () => {
          const key = subject.draw.chance(0.2) ? `,"idempotencyKey":${json(marked(subject, 2))}` : "";
          return `{"type":${EVENT.type(subject)},"data":${data(subject)}${key}}`;
        }).join()}]`,
    },
    optional: {},
  },
  newSubscription: { required: { url: url! }, optional: { ...optionalOfSubscription, tenant: jsonTenant, secret } },
  subscriptionChange: { required: {}, optional: SUBSCRIPTION },
  rotation: {
    required: {},
    optional: { secret, graceSeconds: ({ draw }) => draw.pick(["0", "60", "86400"]) },
  },
  nothing: { required: {}, optional: {} },
} satisfies Record<string, BodyShape>;

const PAGE: Record<string, Value> = {
  limit: ({ draw }) => draw.pick(["1", "2", "50", "200"]),
  order: ({ draw }) => draw.pick(["asc", "desc"]),
};

export const QUERIES = {
  events: { ...PAGE, cursor: id("event"), after: cursor, tenant, type: eventType, since: time, until: time },
  subscriptions: {
    ...PAGE,
    cursor: id("subscription"),
    tenant,
    status: ({ draw }) => draw.pick(["active", "paused", "disabled"]),
  },
  deliveries: {
    ...PAGE,
    cursor: id("delivery"),
    tenant,
    subscription: id("subscription"),
    event: id("event"),
    status: ({ draw }) => draw.pick(["pending", "retrying", "held", "delivered", "dead", "cancelled"]),
    since: time,
    until: time,
  },
  page: { ...PAGE, cursor: id("delivery") },
  none: {},
} satisfies Record<string, Record<string, Value>>;
