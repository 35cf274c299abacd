// What bots cost: counted by their Sandboxes, told to owners and admins, and held against a month's limit.
import assert from "node:assert/strict";
import test from "node:test";
import { until } from "../until.mjs";
import { PAGE } from "./browser.mjs";
import { ALICE, BOB, OPERATOR_TOKEN, bearer, startWorker } from "./harness.mjs";

const MINUTE = 60_000;
/** Microdollars for a minute of memory and disk (standard-1), with its alarm and heartbeat. */
const MINUTE_COSTS = 635;

/** A Worker whose clock begins at noon of the 10th of next month, so that no day ends while it is tested. */
async function start(t, options) {
  const worker = await startWorker(t, options);
  const now = new Date();
  const noon = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 10, 12);
  let ahead;
  const at = (ms) => {
    ahead = noon - now.getTime() + ms;
    return worker.ahead(ahead);
  };
  await at(0);
  const token = worker.provider.token.bind(worker.provider);
  worker.provider.token = (claims, key) => token({ exp: Math.floor((Date.now() + ahead) / 1000) + 3600, ...claims }, key);
  /** Rings the alarm so long after noon. */
  const ring = async (user, ms) => {
    await at(ms);
    await worker.fake(user, "alarm");
  };
  const costs = async (user) => (await worker.as(user, "/api/bot/costs")).json();
  /** Waits until that holds of what a bot costs. */
  const cost = (user, holds, what) => until(async () => {
    const found = await costs(user);
    return holds(found) && found;
  }, what);
  return { worker, at, ring, cost, noon };
}
const limit = (worker, user, micro) => worker.asAdmin("PUT", `/api/admin/bots/${user}/limit`, { limit_microdollars: micro });
/** Waits until the registry says so, and has cron look. */
async function isIncident(worker, user, kind) {
  await until(async () => (await worker.bots()).some((row) => row.user_id === user && row.incidents.includes(kind)), `${kind} is registered`);
  await worker.cron();
  const { incidents } = await worker.asAdmin("GET", `/api/admin/incidents?state=open&rule=${kind}`);
  assert.deepEqual(incidents.map(({ subject }) => subject), [user]);
}
const kinds = async (worker, user) => {
  const { events } = await (await worker.as(user, "/api/bot/events")).json();
  return events.map(({ kind }) => kind);
};

test("a run is counted over an eviction and its end, each moment once", async (t) => {
  const { worker, ring, cost, at } = await start(t);
  await worker.fake(ALICE, "set", { cpuMs: 0 });
  await worker.as(ALICE, "/");
  await worker.reaches(ALICE, "running");
  await ring(ALICE, 4 * MINUTE);
  await worker.fake(ALICE, "evict");
  await worker.fake(ALICE, "set", { cpuMs: 61_000 });
  await worker.as(ALICE, "/");
  const headers = bearer(OPERATOR_TOKEN);
  assert.equal((await worker.fetch(`/_repo/${ALICE}/config`, { method: "HEAD", headers })).status, 404);
  for (let page = 0; page < 3; page += 1) assert.equal((await worker.fetch(`/_repo/${ALICE}/snapshots/`, { headers })).status, 200);
  await ring(ALICE, 5 * MINUTE);
  await ring(ALICE, 5 * MINUTE);
  const ran = ({ costs }) => Math.round(costs.used.running_ms / MINUTE);
  const first = await cost(ALICE, (found) => ran(found) === 5, "five minutes are written");
  assert.equal(Math.round(first.costs.used.cpu_ms / 1_000), 61);
  const { requests, class_a: a, class_b: b } = first.costs.used;
  // Its Sandbox has read what it holds as well.
  assert.ok(requests === 1 && a >= 3 && a <= 4 && b >= 1 && b <= 2, JSON.stringify(first.costs.used));
  const { container_microdollars: container, processor_microdollars: processor, clock_microdollars: clock } = first.costs.parts;
  assert.ok(Math.abs(container + clock - 5 * MINUTE_COSTS) < 300, `${container} + ${clock}`);
  assert.ok(Math.abs(processor - 61 * 20) < 20, `${processor}`);
  assert.ok(first.costs.forecast_microdollars > first.costs.month_microdollars);

  await at(7 * MINUTE);
  await worker.order(ALICE, "sleep");
  await worker.reaches(ALICE, "asleep");
  await cost(ALICE, (found) => ran(found) === 7, "its end is written");
  await at(60 * MINUTE);
  await worker.fake(ALICE, "command", "poll");
  const { costs } = await cost(ALICE, (found) => ran(found) === 7, "asleep it costs nothing");
  assert.equal(costs.running_today_ms, costs.used.running_ms);
});

test("an owner sees only their own costs, and an admin all of them by amount", async (t) => {
  const { worker, noon } = await start(t);
  await Promise.all([ALICE, BOB].map((user) => worker.as(user, "/api/bot")));
  const database = await worker.database();
  const day = Math.floor(noon / (24 * 60 * MINUTE));
  const row = database.prepare("INSERT INTO bot_usage (user_id, day, running_ms, class_a) VALUES (?, ?, ?, 10)");
  await database.batch([row.bind(ALICE, day, 10 * MINUTE), row.bind(ALICE, day - 1, 20 * MINUTE), row.bind(BOB, day, 20 * MINUTE), row.bind(BOB, day - 40, 1)]);
  const [alice, bob] = await Promise.all([ALICE, BOB].map(async (user) => (await worker.as(user, "/api/bot/costs")).json()));
  assert.deepEqual([alice.user_id, alice.costs.used.running_ms, alice.costs.running_today_ms], [ALICE, 30 * MINUTE, 10 * MINUTE]);
  assert.equal(bob.costs.used.running_ms, 20 * MINUTE, "this month");
  const fleet = await worker.asAdmin("GET", "/api/admin/costs");
  assert.deepEqual(fleet.bots.map(({ user_id }) => user_id), [ALICE, BOB]);
  assert.deepEqual(fleet.bots.map(({ month_microdollars }) => month_microdollars), [alice, bob].map(({ costs }) => costs.month_microdollars));
  for (const [i, { costs }] of [alice, bob].entries()) {
    assert.ok(Math.abs(fleet.bots[i].forecast_microdollars - costs.forecast_microdollars) < 50, "but for what is less than one");
  }
  const sum = alice.costs.month_microdollars + bob.costs.month_microdollars;
  assert.ok(Math.abs(fleet.costs.month_microdollars - sum) <= 1);
  assert.equal(fleet.costs.used.class_a, 30);
  const after = await worker.asAdmin("GET", `/api/admin/costs?cursor=${alice.costs.month_microdollars}.${ALICE}`);
  assert.deepEqual([after.bots.map(({ user_id }) => user_id), after.next], [[BOB], null]);
  assert.equal((await worker.asAdmin("GET", "/api/admin/costs?cursor=x")).code, "bad-request");
  assert.equal((await worker.asAdmin("GET", `/api/admin/bots/${BOB}/costs`)).costs.month_microdollars, bob.costs.month_microdollars);
});

test("a bot at its limit sleeps, is refused, and wakes when it is raised", async (t) => {
  const { worker, at, ring } = await start(t, { bindings: { BOT_MONTHLY_LIMIT: "0.01", SLEEP_AFTER: "never" } });
  await worker.fake(ALICE, "set", { cpuMs: 0 });
  await worker.as(ALICE, "/");
  await worker.reaches(ALICE, "running");
  // 8 of 10 thousand microdollars after some 12.6 minutes, all of them after 15.7.
  await ring(ALICE, 6 * MINUTE);
  await ring(ALICE, 13 * MINUTE);
  await until(async () => (await kinds(worker, ALICE)).includes("spend-near-limit"), "the history says that it is near");
  assert.equal((await worker.as(ALICE, "/")).status, 200);
  await isIncident(worker, ALICE, "spend-near-limit");

  await ring(ALICE, 17 * MINUTE);
  await worker.reaches(ALICE, "asleep");
  const record = await worker.record(ALICE);
  assert.deepEqual([record.signals, record.kills], [[15], 0], "its last snapshot is taken");
  assert.ok(record.orders.includes("POST /v1/quiesce"), "it was asked first");
  const refused = await worker.as(ALICE, "/");
  assert.equal(refused.status, 402);
  const { code, detail } = await refused.json();
  assert.equal(code, "spend-limit-reached");
  assert.match(detail, /^The bot has spent \$0\.01 of the \$0\.01 it may in .+ It may run again from the 1st of .+, 00:00 UTC, or as soon as an administrator/);
  const page = await worker.as(ALICE, "/", PAGE);
  assert.equal(page.status, 402);
  assert.ok((await page.text()).includes(detail));
  for (const order of [worker.order(ALICE, "restart"), worker.admin(ALICE, "restart")]) {
    assert.equal((await (await order).json()).code, "spend-limit-reached");
  }
  await isIncident(worker, ALICE, "spend-over-limit");
  assert.equal((await worker.record(ALICE)).starts.length, 1, "nothing has started it");

  const raised = await limit(worker, ALICE, 1_000_000);
  assert.deepEqual([raised.limit.limit_microdollars, raised.limit.source, raised.limit.level], [1_000_000, "admin", null]);
  assert.equal((await worker.as(ALICE, "/")).status, 200);
  assert.ok((await kinds(worker, ALICE)).includes("spend-limit-lifted"));
  await worker.order(ALICE, "sleep");
  await worker.reaches(ALICE, "asleep");
  const cleared = await worker.asAdmin("DELETE", `/api/admin/bots/${ALICE}/limit`);
  assert.deepEqual([cleared.limit.limit_microdollars, cleared.limit.source, cleared.limit.level], [10_000, "setting", "over"]);
  assert.equal((await worker.as(ALICE, "/")).status, 402);
  await at(22 * 24 * 60 * MINUTE);
  assert.equal((await worker.as(ALICE, "/")).status, 200, "a month later");
});

test("a raised limit of all is noticed by cron, and before that by a request", async (t) => {
  const { worker, at, ring } = await start(t, { bindings: { BOT_MONTHLY_LIMIT: "0.01", SLEEP_AFTER: "never" } });
  const people = [ALICE, BOB];
  await Promise.all(people.map(async (user) => {
    await worker.fake(user, "set", { cpuMs: 0 });
    await worker.as(user, "/");
    await worker.reaches(user, "running");
  }));
  for (const minutes of [6, 13, 17]) await Promise.all(people.map((user) => ring(user, minutes * MINUTE)));
  await Promise.all(people.map((user) => worker.reaches(user, "asleep")));
  const registered = async (user) => (await worker.bots()).find((row) => row.user_id === user).incidents;
  const spent = '["spend-near-limit","spend-over-limit"]';
  await until(async () => (await Promise.all(people.map(registered))).every((found) => found === spent), "both are registered");
  // As the first tick of all does.
  await worker.cron();
  await worker.consumed();
  const polls = async () => (await worker.asked()).filter(([, command]) => command === "poll").map(([name]) => name.replace("openclaw-", ""));
  const before = (await polls()).length;
  await worker.cron();
  await worker.consumed();
  assert.equal((await polls()).length, before, "nobody is asked about what has not changed");

  await worker.restart({ BOT_MONTHLY_LIMIT: "5" });
  await at(18 * MINUTE);
  assert.equal((await worker.status(ALICE)).incidents, undefined, "its page says nothing of it");
  assert.equal(await registered(BOB), spent);
  await worker.cron();
  await worker.consumed();
  await until(async () => (await registered(BOB)) === "[]", "cron has had it looked at");
  assert.deepEqual((await polls()).filter((user) => user === BOB), [BOB], "once");
  assert.equal((await worker.status(BOB)).state, "asleep");
});

test("what the end of a run wrote is not written again after an eviction", async (t) => {
  const { worker, at, cost } = await start(t);
  await worker.as(ALICE, "/");
  await worker.reaches(ALICE, "running");
  await at(3 * MINUTE);
  await worker.order(ALICE, "sleep");
  await worker.reaches(ALICE, "asleep");
  await cost(ALICE, ({ costs }) => costs.used.running_ms > MINUTE, "its end is written");
  const database = await worker.database();
  await worker.fake(ALICE, "command", "poll");
  await database.prepare("DELETE FROM bot_usage").run();
  await worker.fake(ALICE, "evict");
  await worker.fake(ALICE, "command", "poll");
  await worker.fake(ALICE, "command", "poll");
  assert.deepEqual((await database.prepare("SELECT * FROM bot_usage").all()).results, []);
});

test("a limit that is none is refused, and so is one of nobody", async (t) => {
  const { worker } = await start(t);
  await worker.as(ALICE, "/api/bot");
  assert.equal((await limit(worker, ALICE, 0)).code, "bad-request");
  assert.equal((await worker.asAdmin("PUT", `/api/admin/bots/${ALICE}/limit`, { unlimited: true })).limit.source, "admin");
  const nobody = await limit(worker, "00000000-0000-4000-8000-000000000001", 10_000);
  assert.equal(nobody.code, "no-such-entry");
  const { events } = await worker.asAdmin("GET", `/api/admin/bots/${ALICE}/events`);
  assert.ok(events.some(({ action, detail }) => action === "admin-set-limit" && detail === "no limit"));
});
