// The dashboard and the alert rules, as the programs that read them judge them: Grafana's own types, and promtool.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import ts from "typescript";
import { promtool } from "./promtool.mjs";

const root = new URL("../../", import.meta.url);
const text = (path) => readFile(new URL(path, root), "utf8");
const dashboard = JSON.parse(await text("dashboards/grafana.json"));
const panels = dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
const rules = await text("dashboards/alerts.yml");
/** The names in the table of metrics, and those of a histogram's and a summary's parts. */
const NAMES = [...(await text("docs/metrics.md")).matchAll(/^\| `(\w+)` \| (\w+) \|/gm)].flatMap(([, name, kind]) => {
  const parts = { histogram: ["_bucket", "_sum", "_count"], summary: ["", "_sum", "_count"] };
  return (parts[kind] ?? [""]).map((part) => [name, name + part]);
});

// What Grafana leaves open or keeps as an enumeration, as it stands in JSON: panels of the two kinds that are used, and Prometheus' queries.
const TYPES = `
import type { Dashboard, DataQuery, Panel, RowPanel } from "@grafana/schema";
import type { Options as StatOptions } from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type { FieldConfig, Options } from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";
type Written<T> = T extends string ? \`\${T}\` : T extends object ? { [K in keyof T]: Written<T[K]> } : T;
interface Query extends DataQuery { expr: string; legendFormat: string }
type Kind<Type, Opts, Fields> = Omit<Panel<Opts, Fields>, "type" | "options" | "targets" | "id" | "title"> & {
  id: number; title: string; type: Type; options: Partial<Opts>; targets: Query[];
};
type OurPanel = Kind<"stat", StatOptions, {}> | Kind<"timeseries", Options, FieldConfig> | RowPanel;
type OurDashboard = Omit<Dashboard, "panels"> & { panels: OurPanel[] };
`;

/** What is wrong with each of these dashboards by these types. */
function complaints(documents) {
  const name = new URL("tests/worker/dashboard.ts", root).pathname;
  const parts = [TYPES, ...documents.map((document, i) => `export const dashboard${i}: Written<OurDashboard> = ${JSON.stringify(document)};\n`)];
  const source = parts.join("");
  const options = { strict: true, noEmit: true, skipLibCheck: true, types: [], module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (path) => path === name || fileExists(path);
  host.getSourceFile = (path, language, ...rest) =>
    path === name ? ts.createSourceFile(path, source, language) : getSourceFile(path, language, ...rest);
  const found = ts.getPreEmitDiagnostics(ts.createProgram([name], options, host));
  const ends = parts.map((_, i) => parts.slice(0, i + 1).join("").length);
  return documents.map((_, i) => found
    .filter(({ start }) => start === undefined || (start >= ends[i] && start < ends[i + 1]) || start < ends[0])
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n")));
}

test("the dashboard is what Grafana's own types say", () => {
  const panel = (document, kind) => document.panels.find(({ type }) => type === kind);
  const broken = [
    (document) => { panel(document, "timeseries").options.legend.displayMode = "sideways"; },
    (document) => { panel(document, "timeseries").fieldConfig.defaults.custom.lineWidth = "thick"; },
    (document) => { panel(document, "stat").targets[0].expr = 7; },
    (document) => { panel(document, "stat").gridPos.width = 3; },
    (document) => { document.refreshes = "1m"; },
  ].map((breaks) => {
    const document = structuredClone(dashboard);
    breaks(document);
    return document;
  });
  const [good, ...bad] = complaints([dashboard, ...broken]);
  assert.deepEqual(good, []);
  assert.deepEqual(bad.map((found) => found.length > 0), broken.map(() => true), "each mistake is found");
});

test("panels stand side by side and have numbers of their own", () => {
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  const overlap = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
  for (const [i, one] of panels.entries()) {
    assert.ok(one.gridPos.x + one.gridPos.w <= 24, one.title);
    for (const other of panels.slice(i + 1)) assert.ok(!overlap(one.gridPos, other.gridPos), `${one.title}, ${other.title}`);
  }
});

test("promtool reads every expression and rule", async () => {
  const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr.replaceAll("$__rate_interval", "5m")));
  assert.ok(expressions.length > 30);
  const asRules = (all) => JSON.stringify({ groups: [{ name: "g", rules: all.map((expr, i) => ({ record: `r${i}`, expr })) }] });
  const judged = await promtool(["check", "rules"], asRules(expressions));
  assert.equal(judged.code, 0, judged.text);
  assert.match(judged.text, new RegExp(`${expressions.length} rules found`));
  assert.notEqual((await promtool(["check", "rules"], asRules(["sum(rate(x[5m])"]))).code, 0, "a mistake is found");
  const alerts = await promtool(["check", "rules"], rules);
  assert.equal(alerts.code, 0, alerts.text);
});

test("expressions name what the table of metrics has, and all of it", () => {
  const used = new Set(`${panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)).join(" ")} ${rules}`.match(/moltworker_\w+/g));
  const known = new Set(NAMES.map(([, name]) => name));
  assert.deepEqual([...used].filter((name) => !known.has(name)), []);
  const unused = new Set(NAMES.map(([metric]) => metric));
  for (const [metric, name] of NAMES) if (used.has(name)) unused.delete(metric);
  assert.deepEqual([...unused], []);
});

test("each alert leads to its section of the operations", async () => {
  const anchors = [...(await text("docs/operations.md")).matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    title.toLowerCase().replaceAll("`", "").replaceAll(" ", "-"));
  const links = [...rules.matchAll(/runbook_url: docs\/operations\.md#(\S+)/g)].map(([, anchor]) => anchor);
  assert.equal(links.length, [...rules.matchAll(/- alert:/g)].length);
  assert.deepEqual(links.filter((anchor) => !anchors.includes(anchor)), []);
});

test("an alert fires when its cause is there and not before", async () => {
  const series = (name, values) => ({ series: name, values });
  const quiet = (alertname, at) => ({ eval_time: at, alertname, exp_alerts: [] });
  const failed = (of) => `moltworker_requests_total{class="${of}",outcome="failed"}`;
  const tests = [
    {
      interval: "1m",
      input_series: [
        series('up{job="moltworker"}', "1x30"),
        series("moltworker_cron_last_tick_timestamp_seconds", "0+60x9 540x30"),
        series(failed("api"), "0x10 2+2x20"),
        series('moltworker_requests_total{class="api",outcome="answered"}', "0+4x30"),
        series(failed("bot"), "0+1x30"),
        series('moltworker_requests_total{class="bot",outcome="answered"}', "0+100x30"),
      ],
      alert_rule_test: [
        quiet("MoltworkerNotScraped", "20m"),
        quiet("MoltworkerCronLate", "10m"),
        quiet("MoltworkerAnswersFailing", "10m"),
      ],
      promql_expr_test: [
        { expr: 'count(ALERTS{alertname="MoltworkerCronLate",alertstate="firing"})', eval_time: "16m", exp_samples: [{ labels: "{}", value: 1 }] },
        // Of the API more than a tenth fails; of the bots' traffic as many, among ever so many that do not.
        { expr: 'count by (class) (ALERTS{alertname="MoltworkerAnswersFailing",alertstate="firing"})', eval_time: "20m", exp_samples: [{ labels: '{class="api"}', value: 1 }] },
      ],
    },
    { interval: "1m", input_series: [series('up{job="moltworker"}', "0x30")], promql_expr_test: [
      { expr: 'count(ALERTS{alertname="MoltworkerNotScraped",alertstate="firing"})', eval_time: "10m", exp_samples: [{ labels: "{}", value: 1 }] },
    ] },
  ];
  const judged = await promtool(["test", "rules"], JSON.stringify({ rule_files: ["alerts.yml"], evaluation_interval: "1m", tests }), { "alerts.yml": rules });
  assert.equal(judged.code, 0, judged.text);
});
