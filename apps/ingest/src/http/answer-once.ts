import type { Request, Response } from "express";
import { isTimeout } from "@postrider/shared/store/errors.ts";
import type { Queryable } from "@postrider/shared/store/pool.ts";
import type { Sealed } from "@postrider/shared/store/schema/index.ts";
import { answerOwner } from "@postrider/shared/store/seal-owners.ts";
import type { SecretBox } from "@postrider/shared/store/secret-box.ts";
import { findAnswer } from "@postrider/shared/store/sql/find-answer.ts";
import { storeAnswer } from "@postrider/shared/store/sql/store-answer.ts";
import type { Context } from "../context.ts";
import { hashOfBody, idempotencyKeyOf, keyForCall } from "./idempotency-key.ts";
import { Problem } from "./problem.ts";

interface Answer {
  status: number;
  location?: string;
  body: unknown;
}

/**
 * Takes the answer to send, and stores it under the request's idempotency key if there is one.
 *
 * @param db a connection with the transaction that does what the answer says
 * @throws Problem where the key was used meanwhile: the transaction must be rolled back
 */
type Remember = (db: Queryable, answer: Answer) => Promise<void>;

export interface Call {
  /** Names the call and what it is for: a key counts for one of them. */
  name: string;
  /** Whose key it is. */
  tenant: () => string | Promise<string>;
  /** Does what the request asks for. The last step of its transaction gives `remember` the answer. */
  run: (remember: Remember) => Promise<void>;
}

/** A key's use. */
interface Use {
  tenant: string;
  key: string;
  hash: Buffer;
}

/**
 * Answers a POST, and a repeat with the same `Idempotency-Key` and body with the same answer.
 *
 * The key is stored in the transaction of what the call does. So a crash leaves both or neither, and of two requests at
 * the same moment the second one waits for the commit of the first.
 */
export async function answerOnce(
  context: Pick<Context, "pool" | "secretBox">,
  request: Request,
  response: Response,
  { name, tenant, run }: Call,
): Promise<void> {
  const key = idempotencyKeyOf(request);
  if (key === undefined) return send(response, await carryOut(run));
  const use = { tenant: await tenant(), key: keyForCall(name, key), hash: hashOfBody(request) };
  const repeated = await findRepeated(context, use);
  if (repeated) return sendAgain(response, repeated);
  try {
    send(response, await carryOut(run, (db, answer) => remember(context, db, use, answer)));
  } catch (error) {
    const waited = isTimeout(error);
    // The reason may be the first use of the key, which was committed meanwhile, or whose locks this one waited for.
    const first = waited || error instanceof Problem ? await findRepeated(context, use) : undefined;
    if (first) return sendAgain(response, first);
    throw waited ? inProgress() : error;
  }
}

/** @returns the answer. A transaction that is repeated gives it again, and the last one counts. */
async function carryOut(run: Call["run"], store?: Remember): Promise<Answer> {
  let answer: Answer | undefined;
  await run(async (db, given) => {
    answer = given;
    await store?.(db, given);
  });
  return answer!;
}

/** @throws Problem idempotency_conflict, or idempotency_answer_lost */
async function findRepeated({ pool, secretBox }: Pick<Context, "pool" | "secretBox">, use: Use) {
  const found = await findAnswer(pool, use.tenant, use.key);
  if (!found) return undefined;
  if (!found.bodyHash.equals(use.hash)) {
    throw new Problem("idempotency_conflict", "this idempotency key was used with another body in the last 24 hours", {
      errors: [{ field: "Idempotency-Key", message: "was used with another body" }],
    });
  }
  return JSON.parse(open(secretBox, found.answer, use).toString()) as Answer;
}

function open(secretBox: SecretBox, answer: Sealed, use: Use): Buffer {
  try {
    return secretBox.open(answer, answerOwner(use.tenant, use.key));
  } catch (cause) {
    const detail = "the first request with this idempotency key was carried out, and its answer can no longer be shown";
    throw new Problem("idempotency_answer_lost", detail, { cause });
  }
}

async function remember(
  { secretBox }: Pick<Context, "secretBox">,
  db: Queryable,
  use: Use,
  answer: Answer,
): Promise<void> {
  const sealed = secretBox.seal(Buffer.from(JSON.stringify(answer)), answerOwner(use.tenant, use.key));
  const isStored = await storeAnswer(db, { ...use, answer: sealed }).catch((error: unknown) => {
    // It waited for the first request until the timeout of locks.
    if (isTimeout(error)) return false;
    throw error;
  });
  if (!isStored) throw inProgress();
}

const inProgress = () =>
  new Problem("idempotency_in_progress", "the first request with this idempotency key is under way: try again", {
    headers: { "retry-after": "1" },
  });

function send(response: Response, { status, location, body }: Answer): void {
  if (location !== undefined) response.location(location);
  response.status(status).json(body);
}

function sendAgain(response: Response, answer: Answer): void {
  response.set("idempotent-replayed", "true");
  send(response, answer);
}
