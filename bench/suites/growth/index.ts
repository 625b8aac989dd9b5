import type { Suite } from "../suite.ts";
import { backlog } from "./backlog.ts";
import { VARIATIONS, variation } from "./variation.ts";

/** How the delivery rate and the cost of a delivery change as one thing grows. */
export const growth: readonly Suite[] = [...VARIATIONS.map(variation), backlog];
