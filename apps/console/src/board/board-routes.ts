import { createBullBoard } from "@bull-board/api";
import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import type { BoardHooks, HTTPStatus } from "@bull-board/api/typings/app";
import { ExpressAdapter } from "@bull-board/express";
import { Router } from "express";
import type { Queues } from "@postrider/shared/queue/queues.ts";
import type { Context } from "../context.ts";
import { describeError } from "../pages/errors.ts";
import { boardPage } from "./board-page.ts";
import { showDelivery, showRelease } from "./presentation.ts";
import { refuseChanges } from "./refuse-changes.ts";

/** Larger pages are slow to read from Redis and to render. */
const MAX_JOBS_PER_PAGE = 100;

/** Bull Board, read-only. Its own changes are refused; retry-routes.ts handles retries. */
export function boardRoutes({ queues, log }: Context): Router {
  const adapter = new ExpressAdapter().setBasePath("/queues");
  createBullBoard({
    queues: queuesToShow(queues),
    serverAdapter: adapter,
    options: {
      uiConfig: {
        boardTitle: "Postrider",
        boardLogo: { path: "/assets/icon.svg", width: 24, height: 24 },
        favIcon: { default: "/assets/icon.svg", alternative: "/assets/icon.svg" },
        hideDocsLink: true,
        sortQueues: false,
        miscLinks: [{ text: "Log out", url: "/logout" }],
      },
      handlerHooks: { before },
    },
  });
  adapter.setErrorHandler((error) => {
    const { status, body } = describeError(error);
    if (status >= 500) log.error({ err: error }, "Bull Board failed");
    return { status: status as HTTPStatus, body };
  });
  const routes = Router();
  routes.use(boardPage, adapter.getRouter());
  return routes;
}

const before: NonNullable<BoardHooks["before"]> = (context) => {
  const { query } = context.request;
  if (Number(query["jobsPerPage"]) > MAX_JOBS_PER_PAGE) query["jobsPerPage"] = String(MAX_JOBS_PER_PAGE);
  return refuseChanges(context);
};

function queuesToShow(queues: Queues): BullMQAdapter[] {
  const dispatch = new BullMQAdapter(queues.dispatch, {
    readOnlyMode: true,
    description: "New deliveries, in batches that were committed together",
  });
  const retry = new BullMQAdapter(queues.retry, {
    // Shows the Retry buttons. The hook refuses the other actions of this mode.
    readOnlyMode: false,
    description:
      "Deliveries that wait for their next attempt (Delayed), and dead letters whose retries are used up (Failed)",
  });
  const deadLetters = new BullMQAdapter(queues.deadLetters, {
    readOnlyMode: false,
    description: "Dead letters that never had a retry, or were not in one: expired, blocked, gone, internal (Failed)",
  });
  const control = new BullMQAdapter(queues.control, {
    readOnlyMode: true,
    description: "One job per subscription whose deliveries are held",
  });
  showDelivery(retry);
  showDelivery(deadLetters);
  showRelease(control);
  return [dispatch, retry, control, deadLetters];
}
