// Status and time series in D1: what pages read of bots and of the fleet without asking anybody.
import assert from "node:assert/strict";
import test from "node:test";
import { until } from "../until.mjs";
import { ADMIN_CLAIMS, ALICE, BOB, MONITOR_TOKEN, startWorker } from "./harness.mjs";

const MINUTE = 60_000;
const STEP = 5 * MINUTE;
const HOUR = 60 * MINUTE;
const GB = 1_000_000_000;
const USES = { memory: { current: GB, peak: 2 * GB, limit: 4 * GB, oom_kills: 0 }, disk: { used: GB, size: 8 * GB }, cpu_ms: 1_000, probe_ms: 4 };
const id = (number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

/** A Worker whose clock stands a second behind the beginning of an hour, and a way to set it so much later. */
async function atFullHour(t, options) {
  const worker = await startWorker(t, options);
  const begin = HOUR - (Date.now() % HOUR) + 1_000;
  const later = (ms) => worker.ahead(begin + ms);
  await later(0);
  return { worker, later, hour: Math.floor((Date.now() + begin) / HOUR) * HOUR };
}
async function all(worker, table) {
  const database = await worker.database();
  return (await database.prepare(`SELECT * FROM ${table} ORDER BY 1, 2`).all()).results;
}
const rowOf = async (worker, user) => (await worker.bots()).find((row) => row.user_id === user);
async function wake(worker, user) {
  await worker.as(user, "/");
  await until(async () => (await rowOf(worker, user))?.state === "running", `${user} is registered`);
}
/** Waits until as many points were written. */
const written = (worker, count) => until(async () => {
  const points = await all(worker, "bot_series");
  return points.length >= count && points;
}, `${count} points`);

test("a heartbeat leaves one point in each step, with what the bot uses", async (t) => {
  const { worker, later, hour } = await atFullHour(t, { bindings: { METER: "1" } });
  await worker.fake(ALICE, "set", { uses: USES });
  await wake(worker, ALICE);
  await written(worker, 1);
  // Each changes the row, in the same step.
  for (const phase of ["restarting", "ready"]) {
    await worker.fake(ALICE, "set", { phase });
    await worker.fake(ALICE, "alarm");
    await until(async () => (await rowOf(worker, ALICE)).health === (phase === "ready" ? "healthy" : "unhealthy"), phase);
  }
  assert.equal((await all(worker, "bot_series")).length, 1);
  await later(STEP);
  await worker.fake(ALICE, "set", {
    uses: { ...USES, cpu_ms: 151_000 }, uptimeMs: 9_000, endings: [{ at_ms: 8_000, reason: "out-of-memory", exit: { kind: "signal", value: 9 } }],
  });
  await worker.fake(ALICE, "alarm");
  const [, point] = await written(worker, 2);
  // 150 seconds of a core in five minutes, give or take what the test itself takes.
  const { cpu, ...rest } = point;
  assert.ok(cpu > 450 && cpu <= 501, `${cpu} of a thousand`);
  assert.deepEqual(rest, {
    step: hour + STEP, user_id: ALICE, state: "running", health: "healthy", memory: GB, disk: GB, latency: 4, restarts: 1,
  });

  const { bots: [listed] } = await worker.asAdmin("GET", `/api/admin/bots?search=${ALICE}`);
  const memory = { used: GB, peak: 2 * GB, size: 4 * GB };
  const disk = { used: GB, peak: null, size: 8 * GB };
  assert.deepEqual([listed.memory, listed.disk], [memory, disk]);
  assert.deepEqual(listed.restarts.map(({ reason, count }) => [reason, count]), [["out-of-memory", 1]]);
  assert.ok(listed.healthy_at >= hour + STEP && listed.healthy_at < hour + STEP + MINUTE);
  for (const status of [await worker.status(ALICE), await worker.asAdmin("GET", `/api/admin/bots/${ALICE}`)]) {
    assert.deepEqual([status.memory, status.disk, status.restarts], [memory, disk, listed.restarts]);
    assert.ok(status.healthy_at >= listed.healthy_at);
  }
  // The object forgets, the row and the restarts stay; one ending is one restart.
  await worker.fake(ALICE, "evict");
  await worker.fake(ALICE, "command", "poll");
  assert.deepEqual((await worker.status(ALICE)).restarts, listed.restarts);

  // One that was evicted may write that of its step again.
  const points = (await worker.fake("any", "points")).slice(0, 2);
  assert.deepEqual(points.map(({ indexes, blobs }) => [...indexes, ...blobs]), Array(2).fill([ALICE, "bot", "running", "healthy"]));
  assert.deepEqual(points[1].doubles, [hour + STEP, GB, 4 * GB, GB, 8 * GB, cpu, 4, 1, 1]);
});

test("a bot that falls asleep leaves no more points, and what it was stays", async (t) => {
  const { worker, later, hour } = await atFullHour(t);
  await worker.fake(ALICE, "set", { uses: USES });
  await wake(worker, ALICE);
  const healthy = (await rowOf(worker, ALICE)).healthy_at;
  await later(STEP);
  await worker.order(ALICE, "sleep");
  const row = await until(async () => {
    const found = await rowOf(worker, ALICE);
    return found.state === "asleep" && found;
  }, "it is asleep");
  assert.deepEqual([row.memory, row.memory_peak, row.disk, row.healthy_at >= healthy], [null, 2 * GB, GB, true]);
  await later(2 * STEP);
  await worker.fake(ALICE, "command", "poll");
  await until(async () => (await rowOf(worker, ALICE)).heartbeat_at >= hour + 2 * STEP, "its row is written");
  const steps = (await all(worker, "bot_series")).map(({ step }) => step);
  assert.ok(steps.every((step) => step < hour + 2 * STEP), steps.join());
  assert.equal((await worker.record(ALICE)).starts.length, 1);
});

test("numbers that no machine has are not written", async (t) => {
  const { worker } = await atFullHour(t);
  const most = "18446744073709551615";
  const endings = Array.from({ length: 30 }, (_, i) => ({ at_ms: i, reason: "crash", exit: { kind: "code", value: 1 } }));
  await worker.fake(ALICE, "set", {
    uses: { memory: { current: 2 ** 60, peak: 2 ** 60, limit: 2 ** 60, oom_kills: 0 }, disk: { used: 2 ** 60, size: 2 ** 60 }, cpu_ms: 2 ** 60, probe_ms: 2 ** 60 },
    endings, uptimeMs: Number(most) / 2 ** 12,
  });
  await wake(worker, ALICE);
  const [point] = await written(worker, 1);
  assert.deepEqual([point.memory, point.disk, point.cpu, point.latency], [null, null, null, null]);
  const row = await rowOf(worker, ALICE);
  assert.deepEqual([row.memory, row.disk, row.restarts], [null, null, "[]"], "their ends are of long ago");
});

test("a row is written although Analytics Engine fails, and without it", async (t) => {
  for (const options of [{ bindings: { METER: "1" } }, { without: ["SERIES"] }]) {
    const worker = await startWorker(t, options);
    await worker.fake("any", "points?fail=1");
    await wake(worker, ALICE);
    await written(worker, 1);
    if (options.bindings) await worker.logged("series-point-refused");
  }
});

test("cron counts the fleet once a step, whoever ticks beside it", async (t) => {
  const { worker, later, hour } = await atFullHour(t);
  const database = await worker.database();
  const bot = database.prepare("INSERT INTO bots (user_id, state, awake, run, since, heartbeat_at, incidents) VALUES (?, ?, ?, 1, 0, ?, ?)");
  const states = ["running", "running", "unhealthy", "crash-looped", "asleep", "asleep", "stopped", "suspended", "backing-off"];
  const awake = ["running", "unhealthy"];
  await database.batch(states.map((state, i) => bot.bind(id(i), state, Number(awake.includes(state)), Date.now() + 2 * HOUR, i === 4 ? '["no-capacity"]' : "[]")));
  await Promise.all([worker.cron(), worker.cron()]);
  await later(MINUTE);
  await worker.cron();
  const [point, ...others] = await all(worker, "fleet_series");
  assert.deepEqual(others, []);
  assert.deepEqual({ ...point, incidents: 0 }, {
    step: hour, registered: 9, awake: 3, waiting: 1, incidents: 0, asleep: 2, starting: 0, restoring: 0, running: 2, unhealthy: 1, stopping: 0,
    backing_off: 1, crash_looped: 1, stopped: 1, suspended: 1,
  });
  await later(STEP);
  await worker.cron();
  assert.equal((await all(worker, "fleet_series")).length, 2);
});

test("an hour that is over becomes one point, and old points are deleted", async (t) => {
  const { worker, later, hour } = await atFullHour(t);
  const database = await worker.database();
  await worker.cron();
  const point = database.prepare("INSERT INTO bot_series VALUES (?, ?, 'running', ?, ?, 5, ?, NULL, 1)");
  await database.batch([
    point.bind(hour, id(1), "healthy", 100, null), point.bind(hour + STEP, id(1), "unhealthy", 400, 30),
    point.bind(hour + 11 * STEP, id(1), "healthy", null, 60), point.bind(hour + STEP, id(2), "unknown", null, null),
    point.bind(hour + HOUR, id(1), "healthy", 9, 9), point.bind(hour - 60 * HOUR, id(1), "healthy", 1, 1),
  ]);
  const hourly = database.prepare("INSERT INTO bot_series_hourly VALUES (?, ?, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)");
  await database.batch([hourly.bind(hour - 91 * 24 * HOUR, id(1)), hourly.bind(hour - 89 * 24 * HOUR, id(1))]);
  await later(HOUR);
  await worker.cron();
  const summedUp = async () => (await all(worker, "bot_series_hourly")).filter((row) => row.hour >= hour);
  assert.deepEqual(await summedUp(), [], "late rows may still come");
  await later(HOUR + 2 * MINUTE);
  await Promise.all([worker.cron(), worker.cron()]);
  await worker.cron();
  assert.deepEqual(await summedUp(), [
    { hour, user_id: id(1), looks: 3, healthy: 2, memory: 250, memory_max: 400, disk: 5, cpu: 45, cpu_max: 60, latency: null, latency_max: null, restarts: 3 },
    { hour, user_id: id(2), looks: 1, healthy: 0, memory: null, memory_max: null, disk: 5, cpu: null, cpu_max: null, latency: null, latency_max: null, restarts: 1 },
  ]);
  const [fleet] = await all(worker, "fleet_series_hourly");
  assert.deepEqual([fleet.hour, fleet.looks, fleet.awake], [hour, 1, 0]);

  const oldest = async () => [(await all(worker, "bot_series"))[0].step, (await all(worker, "bot_series_hourly"))[0].hour];
  assert.deepEqual(await oldest(), [hour - 60 * HOUR, hour - 91 * 24 * HOUR]);
  // Once an hour, which is each sixtieth tick.
  await until(async () => {
    await worker.cron();
    return (await worker.ticks())[0].id === 60;
  }, "an hour of ticks", { deadlineMs: 60_000 });
  assert.deepEqual(await oldest(), [hour, hour - 89 * 24 * HOUR]);
});

test("series are told in steps, to owners of their own bot alone", async (t) => {
  const { worker, hour } = await atFullHour(t);
  const database = await worker.database();
  const point = database.prepare("INSERT INTO bot_series VALUES (?, ?, 'running', 'healthy', ?, 5, 6, 7, 1)");
  const hourly = database.prepare("INSERT INTO bot_series_hourly VALUES (?, ?, 12, 11, 100, 200, 1, 2, 3, 4, 5, 6)");
  await database.batch([
    point.bind(hour - HOUR, ALICE, 100), point.bind(hour - HOUR + STEP, ALICE, 300), point.bind(hour, ALICE, 50), point.bind(hour, BOB, 999),
    hourly.bind(hour - 24 * HOUR, ALICE), hourly.bind(hour - 24 * HOUR, BOB),
  ]);
  await worker.cron();
  const of = async (who, path) => worker.call(who, "GET", path);
  const mine = await of({ sub: ALICE }, "/api/bot/series");
  assert.deepEqual([mine.from, mine.to, mine.step_ms], [hour + STEP - 24 * HOUR, hour + STEP, STEP]);
  assert.deepEqual(mine.points.map(({ at, looks, memory }) => [at, looks, memory]), [[hour - HOUR, 1, 100], [hour - HOUR + STEP, 1, 300], [hour, 1, 50]]);
  const hours = await of(ADMIN_CLAIMS, `/api/admin/bots/${ALICE}/series?range=48h&step=1h`);
  assert.deepEqual(hours.points[0], {
    at: hour - HOUR, looks: 2, healthy: 2, state: "running", memory: 200, memory_max: 300, disk: 5, cpu: 6, cpu_max: 6, latency: 7, latency_max: 7, restarts: 2,
  });
  const month = await of({ sub: ALICE }, "/api/bot/series?range=30d");
  assert.deepEqual(month.points, [
    { at: hour - 24 * HOUR, looks: 12, healthy: 11, state: null, memory: 100, memory_max: 200, disk: 1, cpu: 2, cpu_max: 3, latency: 4, latency_max: 5, restarts: 6 },
  ]);
  assert.deepEqual((await of({ sub: BOB }, "/api/bot/series?range=1h")).points.map(({ memory }) => memory), [999]);
  const foreign = await of({ sub: BOB }, `/api/admin/bots/${ALICE}/series`);
  assert.deepEqual([foreign.status, foreign.code], [403, "not-an-admin"]);
  const fine = await of({ sub: ALICE }, "/api/bot/series?range=90d&step=1h");
  assert.deepEqual([fine.status, fine.detail], [400, "range=90d goes with a step of 6h to 1d"]);
  assert.equal((await of({ sub: ALICE }, "/api/bot/series?range=2h")).status, 400);

  const fleet = await worker.fetch("/api/admin/fleet/series", { headers: { authorization: `Bearer ${MONITOR_TOKEN}` } });
  const { points } = await fleet.json();
  assert.deepEqual(points.map(({ at, looks, registered, awake_max: awake }) => [at, looks, registered, awake]), [[hour, 1, 0, 0]]);
  assert.deepEqual((await of(ADMIN_CLAIMS, "/api/admin/fleet/series?range=90d")).points, []);
  assert.deepEqual((await worker.record(ALICE)).starts, []);
  await database.prepare("ALTER TABLE bot_series RENAME TO away").run();
  assert.equal((await of({ sub: ALICE }, "/api/bot/series")).code, "directory-unavailable");
});
