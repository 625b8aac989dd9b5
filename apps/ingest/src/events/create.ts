import type { Request, RequestHandler } from "express";
import type { Context } from "../context.ts";
import { hashOfBody, idempotencyKeyOf, keyForCall } from "../http/idempotency-key.ts";
import { body } from "../http/parse-request.ts";
import { Problem } from "../http/problem.ts";
import { callerOf } from "../http/request-locals.ts";
import type { Accepted } from "./flush.ts";
import { newBatch, newBatchShape, newEvent, newEventShape, toNewEvent } from "./input.ts";
import { logAccepted } from "./log-accepted.ts";
import type { NewEvent } from "./prepare.ts";
import { presentEvent } from "./present.ts";

/** `POST /events` */
export function createEvent(context: Context): RequestHandler {
  return async (request, response) => {
    const input = body(request, newEvent, newEventShape);
    const event = toNewEvent(input, idempotencyKeyOf(request), callerOf(response));
    const [accepted] = await accept(context, [event], () => HEADER);
    logAccepted(context.log, response, [accepted!]);
    response.status(202).json(presentAccepted(event, accepted!));
  };
}

/** `POST /events/batch`: all events are accepted, or none. */
export function createBatch(context: Context): RequestHandler {
  return async (request, response) => {
    const input = body(request, newBatch, newBatchShape);
    const caller = callerOf(response);
    const events = withKeysOfBatch(
      request,
      input.events.map((event, index) => toNewEvent(event, event.idempotencyKey, caller, `events.${index}.`)),
    );
    const accepted = await accept(context, events, (index) => {
      const isOwn = events[index] !== undefined && events[index].bodyHash === undefined;
      return isOwn ? `events[${index}].idempotencyKey` : HEADER;
    });
    logAccepted(context.log, response, accepted);
    response.status(202).json({ data: events.map((event, index) => presentAccepted(event, accepted[index]!)) });
  };
}

const HEADER = "Idempotency-Key";

/**
 * The events of a batch with the keys that the batch's own key stands for. Each event without a key gets one, made of the
 * batch's key and the event's position, by which a repeat finds the event. The batch's key itself stands for the whole
 * body, whatever keys the events have, and each of its tenants has it. All are stored by the statement of the events.
 */
function withKeysOfBatch(request: Request, events: NewEvent[]): NewEvent[] {
  const key = idempotencyKeyOf(request);
  if (key === undefined) return events;
  const hash = hashOfBody(request);
  const batch = { key: keyForCall("batch", key), hash };
  const tenants = new Set<string>();
  return events.map((event, index) => {
    const isFirst = !tenants.has(event.tenant);
    tenants.add(event.tenant);
    const own = isFirst ? { ...event, batch } : event;
    if (event.idempotencyKey !== undefined) return own;
    return { ...own, idempotencyKey: keyForCall(`batch ${index}`, key), bodyHash: hash };
  });
}

type AcceptedEvent = Extract<Accepted, { kind: "accepted" }>;

/**
 * @param keyField names the key of an event
 * @throws Problem idempotency_conflict or backlog_full
 */
async function accept(
  { acceptor, backlogs, metrics }: Context,
  events: readonly NewEvent[],
  keyField: (index: number) => string,
): Promise<AcceptedEvent[]> {
  backlogs.check(events);
  const accepted = (await acceptor.accept(events)).map((one) => {
    if (one.kind === "conflict") throw conflict(keyField(one.index));
    return one;
  });
  for (const { deliveries, duplicate } of accepted) {
    metrics.accepted.inc({ result: duplicate ? "duplicate" : "new" });
    if (!duplicate) metrics.deliveriesCreated.inc(deliveries);
  }
  return accepted;
}

function conflict(field: string): Problem {
  const message = "this idempotency key was used with another body in the last 24 hours";
  return new Problem("idempotency_conflict", `${field}: ${message}`, { errors: [{ field, message }] });
}

const presentAccepted = ({ type, tenant }: NewEvent, { id, deliveries, expanding, duplicate }: AcceptedEvent) => ({
  ...presentEvent({ id, type, tenant, deliveries, expanding }),
  duplicate,
});
