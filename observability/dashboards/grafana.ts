import type { Dashboard, Panel } from "./panels.ts";

const DATASOURCE = { type: "prometheus", uid: "prometheus" };
const COLUMNS = 24;

/** Converts a dashboard to Grafana's JSON (schema version 39, Grafana 11 and newer). */
export function toGrafana({ uid, title, panels }: Dashboard): object {
  let x = 0;
  let y = 0;
  let rowHeight = 0;
  const placed = panels.map((panel, index) => {
    if (x + panel.width > COLUMNS) {
      x = 0;
      y += rowHeight;
      rowHeight = 0;
    }
    const gridPos = { x, y, w: panel.width, h: panel.height };
    x += panel.width;
    rowHeight = Math.max(rowHeight, panel.height);
    return toPanel(panel, index + 1, gridPos);
  });
  return {
    uid,
    title,
    tags: ["postrider"],
    schemaVersion: 39,
    editable: true,
    refresh: "15s",
    time: { from: "now-1h", to: "now" },
    links: [{ type: "dashboards", tags: ["postrider"], title: "Postrider", asDropdown: true, keepTime: true }],
    panels: placed,
  };
}

function toPanel({ kind, title, description, unit, queries, thresholds }: Panel, id: number, gridPos: object): object {
  const common = { id, type: kind, title, description, gridPos };
  if (kind === "alertlist") {
    const options = { alertName: "Postrider", maxItems: 20, sortOrder: 1, datasource: "Prometheus" };
    return { ...common, options: { ...options, stateFilter: { firing: true, pending: true } } };
  }
  const steps = thresholds?.isLowerWorse
    ? [
        { value: null, color: "red" },
        { value: thresholds.red, color: "yellow" },
        { value: thresholds.yellow, color: "green" },
      ]
    : [
        { value: null, color: "green" },
        ...(thresholds
          ? [
              { value: thresholds.yellow, color: "yellow" },
              { value: thresholds.red, color: "red" },
            ]
          : []),
      ];
  return {
    ...common,
    datasource: DATASOURCE,
    fieldConfig: {
      defaults: { unit, min: kind === "stat" ? undefined : 0, thresholds: { mode: "absolute", steps } },
      overrides: [],
    },
    options:
      kind === "stat"
        ? { reduceOptions: { calcs: ["lastNotNull"] } }
        : { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi" } },
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCodePoint("A".codePointAt(0)! + index),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend ?? "",
      range: kind === "timeseries",
      instant: kind === "stat",
    })),
  };
}
