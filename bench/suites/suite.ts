import type { Servers } from "../support/servers.ts";
import type { Comparison } from "../support/rounds.ts";

/** The parameters of a suite. */
export interface Bench {
  servers: Servers;
  rounds: number;
  /** Less of everything, so that all suites together take a few minutes. */
  isQuick: boolean;
  /** Where Postrider's processes leave their CPU profiles; undefined for none. */
  profileDir: string | undefined;
  /** Deliveries of the suite large-tables; undefined for its own choice. */
  deliveries: number | undefined;
  /** How long a flood lasts; undefined for the suite's own choice. */
  floodSeconds: number | undefined;
  /** How much waits in each suite of `backlog`; undefined for the suite's own choice. */
  backlog: number | undefined;
  say: (line: string) => void;
}

/** One question, and the comparisons that answer it. */
export interface Suite {
  name: string;
  /** One line for --help. */
  about: string;
  run(bench: Bench): Promise<Comparison[]>;
}
