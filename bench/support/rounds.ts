import { summarise, type Summary } from "./statistics.ts";

/** The figures of one measurement, by metric, without the metrics that are unavailable. */
export type Figures = Readonly<Record<string, number>>;

/** A system that is measured against others. */
export interface Contender {
  name: string;
  measure(): Promise<Figures>;
}

/** A contender and its figures, one per round. */
export interface Measured {
  name: string;
  rounds: Figures[];
}

/** A column of the table: a metric, and how it is written. */
export interface Column {
  metric: string;
  label: string;
  digits: number;
}

/** Two contenders' figures in proportion: `label` × `against`. */
export interface Ratio {
  /** The metric, such as `accepted/s`. */
  label: string;
  metric: string;
  of: string;
  against: string;
  /** The target of the ratio, as printed: `at least 0.85`. */
  goal?: string;
}

export interface Comparison {
  title: string;
  columns: readonly Column[];
  measured: readonly Measured[];
  ratios: readonly (Ratio & Partial<Summary>)[];
}

/**
 * Measures the contenders in turn, round after round, every other round in reverse order, so that a machine that
 * gets slower or faster affects all of them.
 */
export async function measureInRounds(
  contenders: readonly Contender[],
  rounds: number,
  say: (line: string) => void,
): Promise<Measured[]> {
  const measured = contenders.map(({ name }): Measured => ({ name, rounds: [] }));
  const inOrder = contenders.map((contender, index) => ({ contender, into: measured[index]! }));
  for (let round = 1; round <= rounds; round += 1) {
    for (const { contender, into } of round % 2 === 1 ? inOrder : inOrder.toReversed()) {
      say(`round ${round}: ${contender.name}`);
      into.rounds.push(await contender.measure());
    }
  }
  return measured;
}

/**
 * Ratios are taken within a round, between neighbours in time, and then summarised: the machine's own drift cancels
 * out.
 */
export function withRatio(measured: readonly Measured[], ratio: Ratio): Ratio & Partial<Summary> {
  const figuresOf = (name: string) => measured.find((one) => one.name === name)?.rounds ?? [];
  const against = figuresOf(ratio.against);
  const perRound = figuresOf(ratio.of).flatMap((figures, round) => {
    const [ours, theirs] = [figures[ratio.metric], against[round]?.[ratio.metric]];
    return ours === undefined || theirs === undefined || theirs === 0 ? [] : [ours / theirs];
  });
  return perRound.length === 0 ? ratio : { ...ratio, ...summarise(perRound) };
}

/** The summary of a contender's metric over the rounds; undefined where no round has it. */
export function summaryOf({ rounds }: Measured, metric: string): Summary | undefined {
  const values = rounds.flatMap((figures) => figures[metric] ?? []);
  return values.length === 0 ? undefined : summarise(values);
}
