import { accept } from "./accept.ts";
import { deliver } from "./deliver.ts";
import { recovery } from "./recovery.ts";
import type { Suite } from "./suite.ts";

/** In the order in which they run. */
export const SUITES: readonly Suite[] = [accept, deliver, recovery];
