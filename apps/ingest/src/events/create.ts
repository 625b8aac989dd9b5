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
    const keys = keysOfBatch(request);
    const events = input.events.map((event, index): NewEvent => {
      const own = toNewEvent(event, event.idempotencyKey, caller, `events.${index}.`);
      return event.idempotencyKey === undefined ? { ...own, ...keys?.(index) } : own;
    });
    const accepted = await accept(context, events, (index) =>
      events[index]!.bodyHash === undefined ? `events[${index}].idempotencyKey` : HEADER,
    );
    logAccepted(context.log, response, accepted);
    response.status(202).json({ data: events.map((event, index) => presentAccepted(event, accepted[index]!)) });
  };
}

const HEADER = "Idempotency-Key";

/**
 * The keys of a batch's events: each is made of the batch's key and the event's position, and stands for the whole body.
 * So the batch is repeated or conflicts as a whole, and it is stored by the same statement as any other event.
 */
function keysOfBatch(
  request: Request,
): ((index: number) => Pick<Required<NewEvent>, "idempotencyKey" | "bodyHash">) | undefined {
  const key = idempotencyKeyOf(request);
  if (key === undefined) return undefined;
  const bodyHash = hashOfBody(request);
  return (index) => ({ idempotencyKey: keyForCall(`batch ${index}`, key), bodyHash });
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
  await backlogs.check(events);
  const accepted = (await acceptor.accept(events)).map((one) => {
    if (one.kind === "conflict") throw conflict(keyField(one.index));
    return one;
  });
  for (const [index, { deliveries, duplicate }] of accepted.entries()) {
    metrics.accepted.inc({ result: duplicate ? "duplicate" : "new" });
    if (duplicate) continue;
    metrics.deliveriesCreated.inc(deliveries);
    backlogs.add(events[index]!.tenant, deliveries);
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
