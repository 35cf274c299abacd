// Metrics: what a scrape tells, what it costs, and what is left of it when D1 is away.
import assert from "node:assert/strict";
import test from "node:test";
import { until } from "../until.mjs";
import { ALICE, BOB, MONITOR_TOKEN, bearer, startWorker } from "./harness.mjs";
import { promtool } from "./promtool.mjs";

const MINUTE = 60_000;
const PATH = "/api/admin/metrics";
const id = (number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

/** A scrape, and its series by their names as they stand there. */
async function scrape(worker) {
  const answer = await worker.fetch(PATH, { headers: bearer(MONITOR_TOKEN) });
  const text = await answer.text();
  const lines = text.split("\n").filter((line) => line && !line.startsWith("#"));
  const series = Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]));
  return { answer, text, series };
}
const requests = (of, outcome) => `moltworker_requests_total{class="${of}",outcome="${outcome}"}`;
/** The Worker's minutes pass, and its next request writes down what was counted. */
function clock(worker) {
  let minutes = 0;
  return (more = 1.1) => worker.ahead((minutes += more) * MINUTE);
}
/** Waits until a series has this value; not so often that the limit of requests would be met. */
function comes(worker, name, value) {
  return until(async () => (await scrape(worker)).series[name] === value, `${name} is ${value}`, { pauseMs: 200 });
}

test("a scrape tells what the fleet did, and promtool takes it", async (t) => {
  const worker = await startWorker(t, { bindings: { MAX_AWAKE: "7" } });
  const minutes = clock(worker);
  assert.equal((await worker.as(ALICE, PATH)).status, 403);
  assert.equal((await worker.as(ALICE, "/")).status, 200);
  await worker.cron();
  await comes(worker, "moltworker_start_seconds_count", 1);
  await worker.fake(ALICE, "set", { endings: [{ at_ms: 5, reason: "out-of-memory", exit: { kind: "signal", value: 9 } }] });
  await worker.fake(ALICE, "command", "poll");
  await comes(worker, 'moltworker_gateway_endings_total{reason="out-of-memory"}', 1);
  await worker.fake(ALICE, "command", "poll");
  for (let i = 0; i < 5; i += 1) assert.equal((await worker.as(ALICE, "/chat")).status, 200);
  assert.equal((await worker.fetch("/nothing/here", { host: "nobody.example.org" })).status, 404);
  await worker.fake(ALICE, "die");
  await comes(worker, 'moltworker_bot_events_total{kind="died"}', 1);
  await minutes();
  await worker.fetch("/healthz");
  await comes(worker, requests("bot", "answered"), 6);

  const { answer, text, series } = await scrape(worker);
  assert.equal(answer.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const judged = await promtool(["check", "metrics"], text, {}, { stdin: true });
  assert.deepEqual(judged, { code: 0, text: "" });
  t.diagnostic(`${Object.keys(series).length} series, ${text.length} bytes`);
  for (const [name, value] of [
    ['moltworker_bots{state="running"}', 0],
    ['moltworker_bots{state="asleep"}', 1],
    ["moltworker_bots_awake_limit", 7],
    ['moltworker_bot_events_total{kind="started"}', 1],
    ['moltworker_bot_events_total{kind="ready"}', 1],
    ['moltworker_gateway_endings_total{reason="out-of-memory"}', 1],
    ['moltworker_start_phase_seconds_count{phase="gateway"}', 1],
    ['moltworker_component_health{component="database",health="healthy"}', 1],
    ["moltworker_cron_ticks_total", 1],
    [requests("nothing", "refused"), 1],
    [requests("api", "answered"), 0],
  ]) assert.equal(series[name], value, name);
  // A page reads the same whoever asks, and nothing of anybody's is in it.
  assert.ok(!text.includes(ALICE) && !text.includes("@"));
  assert.equal((await worker.fetch(PATH, { headers: worker.adminBearer() })).status, 200);
});

test("requests ask D1 for nothing but once a minute", async (t) => {
  const worker = await startWorker(t, { bindings: { METER: "1" } });
  const minutes = clock(worker);
  assert.equal((await worker.as(ALICE, "/")).status, 200);
  await comes(worker, 'moltworker_bot_events_total{kind="ready"}', 1);
  await minutes();
  await worker.as(ALICE, "/");
  await comes(worker, requests("bot", "answered"), 2);
  const before = await worker.fake("any", "meter");
  for (let i = 0; i < 40; i += 1) await worker.as(ALICE, "/");
  assert.deepEqual(await worker.fake("any", "meter"), before, "a warm request");
  await minutes();
  await worker.as(ALICE, "/");
  const after = await until(async () => {
    const now = await worker.fake("any", "meter");
    return now.rowsWritten > before.rowsWritten && now;
  }, "they are written down");
  t.diagnostic(`an isolate writes ${after.rowsWritten - before.rowsWritten} rows a minute of traffic of one class`);
  assert.equal(after.queries - before.queries, 2, "one for the series, one for the minutes");
  await comes(worker, requests("bot", "answered"), 43);
});

test("what cannot be written is written later, and a scrape says so", async (t) => {
  const worker = await startWorker(t);
  const minutes = clock(worker);
  await worker.as(ALICE, "/api/bot");
  await comes(worker, requests("api", "answered"), 1);
  const database = await worker.database();
  await database.prepare("ALTER TABLE metric_counts RENAME TO away").run();
  const { answer } = await scrape(worker);
  assert.equal(answer.status, 503, "half a page would look like a fleet that is gone");
  for (let i = 0; i < 3; i += 1) {
    await minutes();
    assert.equal((await worker.as(ALICE, "/api/bot")).status, 200, "nobody else notices");
    await worker.logged("metrics-not-written");
  }
  await database.prepare("ALTER TABLE away RENAME TO metric_counts").run();
  await minutes();
  await worker.fetch("/healthz");
  await comes(worker, requests("api", "answered"), 4);
  // A database that was put back, or made anew: Prometheus takes a counter that falls for one that began again.
  await database.prepare("DELETE FROM metric_counts").run();
  assert.equal((await scrape(worker)).series[requests("api", "answered")], 0);
  await minutes();
  await worker.as(ALICE, "/api/bot");
  await comes(worker, requests("api", "answered"), 1);
});

test("a scrape reads as many rows as bots are awake, not as are registered", async (t) => {
  const [REGISTERED, AWAKE] = [10_000, 200];
  const worker = await startWorker(t, { bindings: { METER: "1" } });
  const database = await worker.database();
  await scrape(worker);
  const numbered = (of) => `'00000000-0000-4000-8000-' || printf('%012d', ${of})`;
  await database.prepare(
    `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ${REGISTERED})
     INSERT INTO bots (user_id, state, awake, run, since, snapshot_at) SELECT ${numbered("i")}, iif(i < ${AWAKE}, 'running', 'asleep'), i < ${AWAKE}, 0, 0, i FROM n`,
  ).run();
  await database.prepare("UPDATE bots SET state = 'crash-looped', awake = 0 WHERE user_id IN (?, ?)").bind(id(0), id(1)).run();
  await database.prepare("UPDATE bots SET heartbeat_at = 7").run();
  const before = await worker.fake("any", "meter");
  const { series } = await scrape(worker);
  const after = await worker.fake("any", "meter");
  const read = after.rowsRead - before.rowsRead;
  const dollars = (rows) => ((rows * 43_200 * 0.001) / 1e6).toFixed(2);
  t.diagnostic(`a scrape reads ${read} rows in ${after.queries - before.queries} queries; once a minute $${dollars(read)} a month`);
  assert.ok(read < 2 * AWAKE + 300, `${read} rows`);
  const states = (await database.prepare("SELECT state, count(*) AS bots FROM bots GROUP BY state").all()).results;
  for (const { state, bots } of states) assert.equal(series[`moltworker_bots{state="${state}"}`], bots, state);
  assert.deepEqual(states.map(({ bots }) => bots).sort((a, b) => a - b), [2, AWAKE - 2, REGISTERED - AWAKE]);
  assert.equal(series["moltworker_bots_awake"], AWAKE - 2);
  assert.equal(series["moltworker_snapshot_age_seconds_count"], AWAKE - 2);
});

test("answers that fail by our own fault are an incident, and its end is", async (t) => {
  const worker = await startWorker(t);
  const minutes = clock(worker);
  const database = await worker.database();
  await worker.as(ALICE, "/api/bot");
  await database.prepare("ALTER TABLE users RENAME TO away").run();
  for (let i = 0; i < 6; i += 1) assert.equal((await worker.as(id(i), "/api/bot")).status, 503);
  // Nobody's failure here.
  await worker.fake(BOB, "set", { startThrows: "no" });
  await database.prepare("ALTER TABLE away RENAME TO users").run();
  const found = async () => database.prepare("SELECT opened_at, closed_at, detail FROM incidents WHERE rule = 'answers-failing'").first();
  await minutes();
  await worker.fetch("/healthz");
  await comes(worker, requests("api", "failed"), 6);
  await worker.cron();
  assert.match((await found()).detail, /api: 6 of 7 answers/);
  await minutes();
  await worker.cron();
  assert.ok((await found()).opened_at);
  for (let i = 0; i < 11; i += 1) {
    await minutes(1);
    await worker.cron();
  }
  assert.ok((await found()).closed_at, "over when they are old");
});
