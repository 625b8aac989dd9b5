/** A PromQL expression and its name in the legend. */
export interface Query {
  expr: string;
  legend?: string;
}

type Unit = "short" | "ops" | "reqps" | "s" | "percentunit" | "bytes";

export interface Panel {
  title: string;
  /** What the panel shows, and which values indicate a problem. */
  description: string;
  kind: "timeseries" | "stat" | "alertlist";
  unit: Unit;
  queries: readonly Query[];
  /** In columns, of 24. */
  width: number;
  height: number;
  /** The values from which a number is yellow and red; with `isLowerWorse`, the values below which. */
  thresholds?: { yellow: number; red: number; isLowerWorse?: boolean };
}

export interface Dashboard {
  /** Name of its file and path in Grafana. */
  uid: string;
  title: string;
  panels: readonly Panel[];
}

export const stat = (
  title: string,
  unit: Unit,
  expr: string,
  description: string,
  thresholds?: Panel["thresholds"],
): Panel => ({
  title,
  description,
  kind: "stat",
  unit,
  queries: [{ expr }],
  width: 4,
  height: 4,
  ...(thresholds && { thresholds }),
});

export const lines = (
  title: string,
  unit: Unit,
  description: string,
  queries: readonly Query[],
  width = 12,
): Panel => ({
  title,
  description,
  kind: "timeseries",
  unit,
  queries,
  width,
  height: 8,
});

export const perSecond = (metric: string, labels = "", by = ""): string =>
  `sum${by === "" ? "" : ` by (${by})`} (rate(${metric}${labels === "" ? "" : `{${labels}}`}[$__rate_interval]))`;

/** The median, p95 and p99 of a histogram. */
export const quantiles = (metric: string, labels = ""): Query[] =>
  [0.5, 0.95, 0.99].map((quantile) => ({
    expr: `histogram_quantile(${quantile}, ${perSecond(`${metric}_bucket`, labels, "le")})`,
    legend: `p${quantile * 100}`,
  }));

/** The mean of a histogram per value of a label. */
export const means = (metric: string, by: string, labels = ""): Query => ({
  expr: `${perSecond(`${metric}_sum`, labels, by)} / ${perSecond(`${metric}_count`, labels, by)}`,
  legend: `{{${by}}}`,
});

export const BREAKERS = "sum by (state) (max by (state) (postrider_breakers))";
export const HELD = "max by (reason) (postrider_held)";
