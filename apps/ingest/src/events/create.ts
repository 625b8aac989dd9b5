import type { RequestHandler } from "express";
import type { Context } from "../context.ts";
import { body } from "../http/parse-request.ts";
import { Problem } from "../http/problem.ts";
import { callerOf } from "../http/request-locals.ts";
import type { IngestMetrics } from "../metrics.ts";
import type { Accepted } from "./flush.ts";
import { idempotencyKeyFrom, newBatch, newEvent, parseBatch, parseEvent, toNewEvent } from "./input.ts";
import { logAccepted } from "./log-accepted.ts";
import type { NewEvent } from "./prepare.ts";
import { presentEvent } from "./present.ts";

/** `POST /events` */
export function createEvent({ acceptor, log, metrics }: Context): RequestHandler {
  return async (request, response) => {
    const input = body(request, newEvent, parseEvent);
    const key = idempotencyKeyFrom(request.get("idempotency-key"));
    const event = toNewEvent(input, key, callerOf(response));
    const accepted = await acceptor.accept([event]);
    logAccepted(log, response, accepted);
    response.status(202).json(presentAccepted(event, accepted[0]!, metrics));
  };
}

/** `POST /events/batch`: all events are accepted, or none. */
export function createBatch({ acceptor, log, metrics }: Context): RequestHandler {
  return async (request, response) => {
    const input = body(request, newBatch, parseBatch);
    const caller = callerOf(response);
    const events = input.events.map((event, index) =>
      toNewEvent(event, event.idempotencyKey, caller, `events.${index}.`),
    );
    const accepted = await acceptor.accept(events);
    logAccepted(log, response, accepted);
    response
      .status(202)
      .json({ data: events.map((event, index) => presentAccepted(event, accepted[index]!, metrics)) });
  };
}

/** @throws Problem idempotency_conflict */
function presentAccepted(event: NewEvent, accepted: Accepted, metrics: IngestMetrics) {
  if (accepted.kind === "conflict") {
    throw new Problem(
      "idempotency_conflict",
      "this idempotency key was used with another type or data in the last 24 hours",
    );
  }
  const { id, deliveries, expanding, duplicate } = accepted;
  const { type, tenant } = event;
  metrics.accepted.inc({ result: duplicate ? "duplicate" : "new" });
  if (!duplicate) metrics.deliveriesCreated.inc(deliveries);
  return { ...presentEvent({ id, type, tenant, deliveries, expanding }), duplicate };
}
