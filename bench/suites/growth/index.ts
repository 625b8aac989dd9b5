import type { Suite } from "../suite.ts";
import { backlog } from "./backlog.ts";
import { VARIATIONS, variation } from "./variation.ts";

/** How what is delivered per second, and what a delivery costs, changes as one thing grows. */
export const growth: readonly Suite[] = [...VARIATIONS.map(variation), backlog];
