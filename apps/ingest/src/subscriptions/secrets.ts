import { randomBytes } from "node:crypto";
import type { RequestHandler } from "express";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { formatSecret } from "@postrider/shared/core/signing.ts";
import type { Sealed, StoredSecret } from "@postrider/shared/store/schema/index.ts";
import { now } from "@postrider/shared/runtime/clock.ts";
import { secretOwner } from "@postrider/shared/store/seal-owners.ts";
import type { Context } from "../context.ts";
import { answerOnce } from "../http/answer-once.ts";
import { body, pathId } from "../http/parse-request.ts";
import { Problem } from "../http/problem.ts";
import { requestLog } from "../http/request-id.ts";
import { callerOf } from "../http/request-locals.ts";
import { rotation } from "./input.ts";
import { updateSubscription, findSubscription } from "./store.ts";

const NEW_SECRET_BYTES = 32;
/** More live secrets would make the signature header too long for some receivers. */
const MAX_LIVE_SECRETS = 5;

export const newSecret = (): Buffer => randomBytes(NEW_SECRET_BYTES);

/** `GET /subscriptions/:id/secret` */
export function readSecret({ readDb, secretBox }: Context): RequestHandler {
  return async (request, response) => {
    const row = await findSubscription(readDb, callerOf(response), pathId(request, "sub"));
    response.json({ secret: formatSecret(secretBox.open(row.secrets[0]!, secretOwner(row.id))) });
  };
}

/** `POST /subscriptions/:id/secret/rotate` */
export function rotateSecret(context: Context): RequestHandler {
  const { db, secretBox, log } = context;
  return async (request, response) => {
    const id = pathId(request, "sub");
    const input = body(request, rotation);
    const caller = callerOf(response);
    await answerOnce(context, request, response, {
      name: `rotate ${id}`,
      tenant: async () => (await findSubscription(db, caller, id)).tenant,
      async run(remember) {
        const secret = input.secret ?? newSecret();
        const row = await updateSubscription(
          db,
          caller,
          id,
          ({ secrets }) => ({
            secrets: rotateSecrets(secrets, secretBox.seal(secret, secretOwner(id)), input.graceSeconds, now()),
          }),
          {
            after: (connection, { secrets }) =>
              remember(connection, {
                status: 200,
                body: { secret: formatSecret(secret), previousExpiresAt: secrets[1]?.expiresAt ?? null },
              }),
          },
        );
        requestLog(log, response).info(
          { subscription: toPublicId("sub", id), live: row.secrets.length },
          "signing secret rotated",
        );
      },
    });
  };
}

/**
 * The secrets after a rotation: the new one first, the previous ones until their grace ends. Without grace all previous
 * ones end.
 *
 * @throws Problem too_many_secrets where another one's grace would have to be cut short
 */
function rotateSecrets(
  secrets: readonly StoredSecret[],
  fresh: Sealed,
  graceSeconds: number,
  now: number,
): StoredSecret[] {
  const current = { ...fresh, expiresAt: null };
  if (graceSeconds === 0) return [current];
  const graceEnd = new Date(now + graceSeconds * 1000).toISOString();
  const older = secrets
    .map((secret) => ({ ...secret, expiresAt: secret.expiresAt ?? graceEnd }))
    .filter(({ expiresAt }) => Date.parse(expiresAt) > now);
  if (older.length >= MAX_LIVE_SECRETS) throw tooManySecrets(secrets, now);
  return [current, ...older];
}

function tooManySecrets(secrets: readonly StoredSecret[], now: number): Problem {
  const promised = secrets.map(({ expiresAt }) => expiresAt ?? "").filter((end) => Date.parse(end) > now);
  const [earliest] = promised.sort();
  return new Problem(
    "too_many_secrets",
    `${MAX_LIVE_SECRETS} secrets are still valid: rotate again after ${earliest}, when the next one's grace ends, ` +
      "or with graceSeconds 0, which ends all of them at once",
  );
}
