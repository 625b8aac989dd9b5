import type { Suite } from "../suite.ts";
import { deadAndSlow } from "./dead-and-slow.ts";
import { fairness } from "./fairness.ts";
import { flood } from "./flood.ts";
import { hanging } from "./hanging.ts";
import { held } from "./held.ts";
import { oneSubscriber } from "./one-subscriber.ts";
import { rateLimit } from "./rate-limit.ts";

/** How much subscribers and tenants slow each other down. */
export const isolation: readonly Suite[] = [deadAndSlow, hanging, fairness, flood, held, rateLimit, oneSubscriber];
