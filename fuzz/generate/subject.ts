import { CALLERS, type CallerKind, MARKS, TENANTS } from "../callers.ts";
import type { Draw } from "../draw.ts";

/** Public ids that a call can be about. */
export interface Ids {
  event: readonly string[];
  subscription: readonly string[];
  delivery: readonly string[];
}

/** What exists while a number of calls are made. */
export interface Resources {
  own: Readonly<Record<(typeof TENANTS)[keyof typeof TENANTS], Ids>>;
  /** Takes deliveries. */
  receiverUrl: string;
  /** A session of the console. */
  session: string;
}

/** What the values of a call are made of. */
export interface Subject {
  draw: Draw;
  caller: CallerKind;
  /** Begins the data that the caller sends. */
  mark: string;
  tenant: string;
  otherTenant: string;
  receiverUrl: string;
  own: Ids;
  foreign: Ids;
}

export function subjectOf(draw: Draw, { own, receiverUrl }: Resources): Subject {
  const caller = draw.pick(CALLERS);
  const tenant = caller === "tenant-a" || caller === "tenant-b" ? TENANTS[caller] : draw.pick(Object.values(TENANTS));
  const otherTenant = tenant === "fuzz-a" ? "fuzz-b" : "fuzz-a";
  const ids = { own: own[tenant], foreign: own[otherTenant] };
  return { draw, caller, mark: MARKS[caller], tenant, otherTenant, receiverUrl, ...ids };
}
