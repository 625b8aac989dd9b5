import { randomUUID } from "node:crypto";
import type { NewEvent } from "../client/types.ts";

/** A tenant that no other test uses. */
export const newTenant = (): string => `t-${randomUUID()}`;

/** Small events of one tenant, numbered in `data.order`. */
export const orders = (count: number, tenant: string): NewEvent[] =>
  Array.from({ length: count }, (_, order) => ({ type: "order.created", data: { order }, tenant }));
