import { accept } from "./accept.ts";
import { attacks } from "./attacks/index.ts";
import { backlog } from "./backlog/index.ts";
import { deliver } from "./deliver.ts";
import { endToEnd } from "./end-to-end.ts";
import { growth } from "./growth/index.ts";
import { isolation } from "./isolation/index.ts";
import { largeTables } from "./large-tables/index.ts";
import { memory } from "./memory.ts";
import { recovery } from "./recovery.ts";
import type { Suite } from "./suite.ts";

/** In the order in which they run. */
export const SUITES: readonly Suite[] = [
  accept,
  deliver,
  endToEnd,
  recovery,
  ...backlog,
  largeTables,
  ...isolation,
  attacks,
  ...growth,
  memory,
];
