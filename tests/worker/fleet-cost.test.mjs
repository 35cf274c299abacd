// What a large fleet costs that nobody uses: the clock over 10,000 registered bots, 1,000 of them awake. The figures are printed; the
// assertions hold what they must not depend on.
import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import test from "node:test";
import { until } from "../until.mjs";
import { ALICE, startWorker } from "./harness.mjs";

const REGISTERED = 10_000;
const AWAKE = 1_000;
const TICKS = 30 * 24 * 60;
const HEARTBEATS = TICKS / 5;
const HOURS = TICKS / 60;
const STEP_MS = 5 * 60_000;
/** Dollars per million, beyond what is included (Cloudflare's price lists, October 2026). */
const PRICE = { rowsRead: 0.001, rowsWritten: 1, queue: 0.4, objectRequests: 0.15, storageWritten: 1 };
/** A message is written, read and deleted. */
const OPERATIONS_A_MESSAGE = 3;

/** Milliseconds of processor that workerd has used: with its D1, its queue and its objects, so more than a Worker is billed. */
async function workerdCpu() {
  let ticks = 0;
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (stat.includes("(workerd") && Number(fields[1]) === process.pid) ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * 10;
}

test("ten thousand bots, a thousand of them awake, cost cron next to nothing", async (t) => {
  const worker = await startWorker(t, { bindings: { METER: "1" } });
  const database = await worker.database();
  const numbered = (of) => `'00000000-0000-4000-8000-' || printf('%012d', ${of})`;
  await database.prepare(
    `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ${REGISTERED})
     INSERT INTO bots (user_id, state, awake, run, since) SELECT ${numbered("i")}, iif(i < ${AWAKE}, 'running', 'asleep'), i < ${AWAKE}, 0, 0 FROM n`,
  ).run();
  const polls = async () => (await worker.asked()).filter(([, command]) => command === "poll").length;
  const measured = async (what, work) => {
    const [before, cpu, began] = [await worker.fake("any", "meter"), await workerdCpu(), performance.now()];
    await work();
    const [after, took] = [await worker.fake("any", "meter"), performance.now() - began];
    const used = Object.fromEntries(Object.keys(after).map((name) => [name, after[name] - before[name]]));
    t.diagnostic(`${what}: ${JSON.stringify(used)}, ${(await workerdCpu()) - cpu} ms of processor, ${(took / 1000).toFixed(1)} s`);
    return { ...used, took };
  };

  // As after D1 was away for long: every heartbeat is late.
  let tick;
  const late = await measured("a tick with all of them late", async () => {
    const began = performance.now();
    await worker.cron();
    tick = performance.now() - began;
    await worker.consumed();
    await until(async () => (await polls()) >= AWAKE, "all were looked at", { deadlineMs: 300_000 });
  });
  assert.equal(await polls(), AWAKE, "each once");
  t.diagnostic(`all were looked at within ${(late.took / 1000).toFixed(1)} s`);
  assert.equal((await worker.ticks())[0].queued, 1 + AWAKE / 50);
  t.diagnostic(`the tick itself was over after ${tick.toFixed(0)} ms`);

  await until(async () => (await database.prepare("SELECT count(*) AS n FROM bots WHERE awake = 1").first()).n === 0, "all have written their rows");
  await database.prepare(`UPDATE bots SET awake = 1, state = 'running', health = 'healthy', heartbeat_at = ?, ticked_at = 0 WHERE user_id < ${numbered(AWAKE)}`).bind(Date.now()).run();
  // What was wrong with a thousand of them is over, and forgotten.
  await worker.cron();
  await worker.consumed();
  // In one step of the time series from here on.
  const ahead = STEP_MS - (Date.now() % STEP_MS) + 1_000;
  await worker.ahead(ahead);
  const begins = await measured("a tick that begins a step of the time series", async () => {
    await worker.cron();
    await worker.consumed();
  });
  assert.ok(begins.rowsRead < 3 * AWAKE, `it reads ${begins.rowsRead} rows, however many are registered`);
  const quiet = await measured("a tick with none late", async () => {
    await worker.cron();
    await worker.consumed();
  });
  assert.equal(await polls(), AWAKE, "no Sandbox was asked");
  assert.ok(quiet.rowsRead < 200, `it reads ${quiet.rowsRead} rows, whatever is registered or awake`);
  assert.ok(quiet.rowsWritten < 25, `it writes ${quiet.rowsWritten} rows`);

  // The row, its place in the index of those that are awake, and a point of its series.
  await worker.as(ALICE, "/");
  await until(async () => (await database.prepare("SELECT count(*) AS n FROM bot_series").first()).n === 1, "it has a row and a point");
  await database.prepare("UPDATE bots SET heartbeat_at = ?").bind(Date.now() + ahead + STEP_MS).run();
  await worker.ahead(ahead + STEP_MS);
  // Or the alarm would find that cron is missing, and write that.
  await worker.cron();
  await worker.consumed();
  const beat = await measured("a heartbeat", async () => {
    await worker.fake(ALICE, "alarm");
    await until(async () => (await database.prepare("SELECT count(*) AS n FROM bot_series").first()).n === 2, "its next point");
  });
  const rowsABeat = beat.rowsWritten;
  const hours = await database.prepare("INSERT INTO bot_series_hourly VALUES (0, ?, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)").bind(ALICE).run();
  const deleted = await database.prepare("DELETE FROM bot_series WHERE step < (SELECT max(step) FROM bot_series)").run();
  t.diagnostic(`a point of an hour writes ${hours.meta.rows_written} rows, a deletion ${deleted.meta.rows_written}`);
  // Once in a while what the bot uses is written along.
  assert.ok(rowsABeat <= 5 && hours.meta.rows_written <= 1 && deleted.meta.rows_written <= 1);
  const dollars = (count, price) => (count * price) / 1e6;
  const cron = [
    ["rows read", (TICKS - HEARTBEATS) * quiet.rowsRead + HEARTBEATS * begins.rowsRead, PRICE.rowsRead],
    ["rows written", (TICKS - HEARTBEATS) * quiet.rowsWritten + HEARTBEATS * begins.rowsWritten, PRICE.rowsWritten],
    ["queue operations", TICKS * OPERATIONS_A_MESSAGE, PRICE.queue],
  ];
  const awake = [
    ["rows of heartbeats and points", AWAKE * HEARTBEATS * rowsABeat, PRICE.rowsWritten],
    ["heartbeats remembered", AWAKE * HEARTBEATS, PRICE.storageWritten],
    ["points of hours, and points deleted", AWAKE * (2 * HOURS + HEARTBEATS), PRICE.rowsWritten],
    ["points read for those of hours", AWAKE * HEARTBEATS, PRICE.rowsRead],
    ["alarms", AWAKE * TICKS, PRICE.objectRequests],
    ["alarms set", AWAKE * TICKS, PRICE.storageWritten],
  ];
  for (const [whose, lines] of [["cron", cron], [`${AWAKE} awake bots`, awake]]) {
    for (const [what, count, price] of lines) {
      t.diagnostic(`${whose}, a month: ${Math.round(count)} ${what} × $${price} / 1,000,000 = $${dollars(count, price).toFixed(2)}`);
    }
    const sum = lines.reduce((total, [, count, price]) => total + dollars(count, price), 0);
    t.diagnostic(`${whose}, a month: $${sum.toFixed(2)} beyond what is included`);
  }
});
