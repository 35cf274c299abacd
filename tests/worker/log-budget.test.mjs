// What the platform logs, in bytes: Workers Logs bills them from December 2026. Measured in workerd's own output, and held against
// the most that each may be.
import assert from "node:assert/strict";
import test from "node:test";
import { until } from "../until.mjs";
import { ALICE, BOB, MONITOR_TOKEN, bearer, startWorker } from "./harness.mjs";

const MINUTE = 60_000;
/** Bytes of log lines at most. A change that needs more says here what for, and docs/limits.md what it costs. */
const BUDGET = {
  "a warm request to a bot": 0,
  "a call of an owner's that reads": 0,
  "a scrape": 0,
  "a request without a credential": 0,
  "a call of an admin's that reads somebody's data": 600,
  "an order of an owner's": 1_200,
  "a bot that wakes": 1_200,
  "a bot that goes to sleep": 800,
  "an hour of a bot that is awake": 0,
  "a start that fails": 2_500,
  "a tick of cron": 200,
  "the longest line": 2_000,
};
/** Dollars per GB beyond the 50 that a month includes (Cloudflare's price list of October 2026). */
const PER_GB = 0.25;

test("log lines stay within their budget of bytes", async (t) => {
  const worker = await startWorker(t);
  const lines = () => worker.log.text.split("\n").filter((line) => line.startsWith("{"));
  const ticks = () => lines().filter((line) => line.includes('"event":"tick"')).length;
  /** Has what was written before come out: lines come in their order. */
  const settle = async () => {
    const before = ticks();
    await worker.cron();
    await worker.consumed();
    await until(() => ticks() > before, "the tick's own line");
  };
  const measured = {};
  const measure = async (what, times, work, { ofCron = false } = {}) => {
    await settle();
    const before = lines().length;
    await work();
    await settle();
    const written = lines().slice(before).filter((line) => ofCron === line.includes('"event":"tick"'));
    measured[what] = written.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0) / times;
    for (const line of written) assert.ok(JSON.parse(line).event, line);
    return written.map((line) => JSON.parse(line));
  };
  const many = (count, work) => async () => {
    for (let i = 0; i < count; i += 1) await work();
  };
  const awake = () => worker.reaches(ALICE, "running");

  const woke = await measure("a bot that wakes", 1, async () => {
    await worker.as(ALICE, "/");
    await awake();
    await until(() => lines().some((line) => line.includes('"kind":"ready"')), "the history's line");
  });
  for (const line of woke) assert.ok(line.user === ALICE || line.bot === ALICE, JSON.stringify(line));
  await measure("a warm request to a bot", 20, many(20, () => worker.as(ALICE, "/")));
  await measure("a call of an owner's that reads", 20, many(20, () => worker.as(ALICE, "/api/bot")));
  await measure("a scrape", 5, many(5, () => worker.fetch("/api/admin/metrics", { headers: bearer(MONITOR_TOKEN) })));
  await measure("a request without a credential", 20, many(20, () => worker.fetch("/api/bot")));
  const [look] = await measure("a call of an admin's that reads somebody's data", 1, () => worker.asAdmin("GET", `/api/admin/bots/${ALICE}`));
  assert.ok(look.request, "it names its request");
  await measure("an order of an owner's", 1, () => worker.order(ALICE, "pin"));
  await measure("an hour of a bot that is awake", 1, async () => {
    for (let minute = 1; minute <= 60; minute += 1) {
      await worker.ahead(minute * MINUTE);
      // Without it every minute would be one in which cron is missing.
      await worker.cron();
      await worker.fake(ALICE, "alarm");
    }
  });
  await measure("a bot that goes to sleep", 1, async () => {
    await worker.admin(ALICE, "sleep");
    await worker.reaches(ALICE, "asleep");
  });
  await worker.fake(BOB, "set", { startThrows: "x".repeat(9_000) });
  await measure("a start that fails", 1, () => worker.as(BOB, "/"));
  await measure("a tick of cron", 1, () => {}, { ofCron: true });
  measured["the longest line"] = Math.max(...lines().map((line) => Buffer.byteLength(line) + 1));

  for (const [what, bytes] of Object.entries(measured)) t.diagnostic(`${what}: ${Math.round(bytes)} bytes, at most ${BUDGET[what]}`);
  const month = (bytes, times) => ((bytes * times) / 1e9).toFixed(2);
  const sums = [
    ["cron, a month", measured["a tick of cron"], 43_200],
    ["a thousand bots that wake and sleep ten times a day, a month", measured["a bot that wakes"] + measured["a bot that goes to sleep"], 300_000],
    ["a million requests to bots", measured["a warm request to a bot"], 1_000_000],
  ];
  for (const [what, bytes, times] of sums) t.diagnostic(`${what}: ${month(bytes, times)} GB, $${(month(bytes, times) * PER_GB).toFixed(2)} beyond 50 GB`);
  assert.deepEqual(Object.keys(measured).sort(), Object.keys(BUDGET).sort());
  for (const [what, bytes] of Object.entries(measured)) assert.ok(bytes <= BUDGET[what], `${what}: ${bytes} bytes, at most ${BUDGET[what]}`);
});
