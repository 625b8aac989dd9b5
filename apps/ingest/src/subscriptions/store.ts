import { and, eq, isNull, sql } from "drizzle-orm";
import { transaction, type Db, type Queryable, type Transaction } from "@postrider/shared/store/pool.ts";
import { subscriptionPatterns, subscriptions } from "@postrider/shared/store/schema/index.ts";
import { toPublicId } from "@postrider/shared/core/ids/id.ts";
import { newId } from "@postrider/shared/runtime/new-id.ts";
import { secretOwner } from "@postrider/shared/store/seal-owners.ts";
import type { SecretBox } from "@postrider/shared/store/secret-box.ts";
import { isVisibleTo } from "../http/tenancy.ts";
import type { Caller } from "../http/caller.ts";
import { Problem } from "../http/problem.ts";
import type { ToStored } from "./stored-headers.ts";

export type SubscriptionRow = typeof subscriptions.$inferSelect;
export type SubscriptionChange = Partial<typeof subscriptions.$inferInsert>;

/** @throws Problem not_found */
export async function findSubscription(
  db: Db | Transaction,
  caller: Caller,
  id: string,
  lock = false,
): Promise<SubscriptionRow> {
  const found = db
    .select()
    .from(subscriptions)
    .where(and(eq(subscriptions.id, id), isNull(subscriptions.deletedAt), isVisibleTo(caller, subscriptions.tenant)));
  const [row] = await (lock ? found.for("update") : found);
  if (!row) throw new Problem("not_found", `there is no subscription ${toPublicId("sub", id)}`);
  return row;
}

/** Steps of a transaction before and after its changes. Either may throw, and then nothing is changed. */
interface Steps {
  before?: (connection: Queryable) => Promise<void>;
  after?: (connection: Queryable, row: SubscriptionRow) => Promise<void>;
}

export async function insertSubscription(
  db: Db,
  box: SecretBox,
  secret: Buffer,
  values: Omit<typeof subscriptions.$inferInsert, "id" | "secrets">,
  { toStored, before, after }: Steps & { toStored: ToStored },
): Promise<SubscriptionRow> {
  const id = newId();
  const headers = toStored(id, values.headers);
  return transaction(db, async (tx, connection) => {
    await before?.(connection);
    const secrets = [{ ...box.seal(secret, secretOwner(id)), expiresAt: null }];
    const [row] = await tx
      .insert(subscriptions)
      .values({ ...values, id, secrets, headers })
      .returning();
    await replacePatterns(tx, row!);
    await after?.(connection, row!);
    return row!;
  });
}

/**
 * Reads a subscription, changes it and writes it back, under its row lock.
 *
 * @param change returns what to write; it may throw to refuse, and may run several times
 * @throws Problem not_found
 */
export async function updateSubscription(
  db: Db,
  caller: Caller,
  id: string,
  change: (row: SubscriptionRow) => SubscriptionChange,
  { after }: Pick<Steps, "after"> = {},
): Promise<SubscriptionRow> {
  return transaction(db, async (tx, connection) => {
    const changes = change(await findSubscription(tx, caller, id, true));
    const [row] = await tx
      .update(subscriptions)
      .set({ ...changes, updatedAt: sql`now()` })
      .where(eq(subscriptions.id, id))
      .returning();
    if ("eventTypes" in changes || "deletedAt" in changes) await replacePatterns(tx, row!);
    await after?.(connection, row!);
    return row!;
  });
}

/** Keeps `subscription_patterns` equal to the event types of the subscriptions that are not deleted. */
async function replacePatterns(tx: Transaction, row: SubscriptionRow): Promise<void> {
  await tx
    .delete(subscriptionPatterns)
    .where(and(eq(subscriptionPatterns.tenant, row.tenant), eq(subscriptionPatterns.subscriptionId, row.id)));
  if (row.deletedAt !== null) return;
  await tx
    .insert(subscriptionPatterns)
    .values(row.eventTypes.map((pattern) => ({ tenant: row.tenant, pattern, subscriptionId: row.id })));
}
