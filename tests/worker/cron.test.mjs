// The clock: a bot that is awake is looked after by its own alarm, and cron looks after those whose alarm is silent.
import assert from "node:assert/strict";
import test from "node:test";
import { until } from "../until.mjs";
import { ALICE, BOB, MONITOR_TOKEN, startWorker } from "./harness.mjs";

const MINUTE = 60_000;
const id = (number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

/** Registers bots of which the registry says no more than this. */
async function register(worker, users, { state = "running", awake = 1 } = {}) {
  const database = await worker.database();
  const row = database.prepare("INSERT INTO bots (user_id, state, awake, run, since, heartbeat_at) VALUES (?, ?, ?, 0, 0, ?)");
  await database.batch(users.map((user, i) => row.bind(user, state, awake, i)));
}
/** How often each Sandbox was looked at. */
async function looks(worker) {
  const counts = {};
  for (const [name, command] of await worker.asked()) {
    if (command === "poll") counts[name.replace("openclaw-", "")] = (counts[name.replace("openclaw-", "")] ?? 0) + 1;
  }
  return counts;
}
async function isSilentFor(worker, user, ms) {
  const database = await worker.database();
  await database.prepare("UPDATE bots SET heartbeat_at = ? WHERE user_id = ?").bind(Date.now() - ms, user).run();
}
const rowOf = async (worker, user) => (await worker.bots()).find((row) => row.user_id === user);
async function wake(worker, user) {
  await worker.as(user, "/");
  await until(async () => (await rowOf(worker, user))?.state === "running", `${user} is registered`);
}

test("cron looks only at bots whose heartbeat is late", async (t) => {
  const worker = await startWorker(t);
  await Promise.all([ALICE, BOB].map((user) => wake(worker, user)));
  await worker.cron();
  await worker.consumed();
  assert.deepEqual(await looks(worker), {}, "their alarms look after them");
  await isSilentFor(worker, ALICE, 10 * MINUTE);
  await worker.cron();
  await worker.consumed();
  assert.deepEqual(await looks(worker), {}, "two heartbeats are not late");
  await isSilentFor(worker, ALICE, 12 * MINUTE);
  await worker.cron();
  await worker.consumed();
  assert.deepEqual(await looks(worker), { [ALICE]: 1 });
  await until(async () => (await rowOf(worker, ALICE)).heartbeat_at > Date.now() - MINUTE, "its row is written");
  await worker.cron();
  await worker.consumed();
  assert.deepEqual(await looks(worker), { [ALICE]: 1 }, "it is late no more");
  const ticks = (await worker.ticks()).map(({ late, queued, finished_at: end, started_at: start }) => [late, queued, end >= start]);
  assert.deepEqual(ticks, [[0, 1, true], [1, 2, true], [0, 1, true], [0, 1, true]]);
});

test("the alarm writes a heartbeat on a change, else every five minutes", async (t) => {
  const worker = await startWorker(t);
  // From the beginning of a step of the time series, whose point is written by the last alarm in it otherwise.
  const begin = 5 * MINUTE - (Date.now() % (5 * MINUTE)) + 1_000;
  await worker.ahead(begin);
  await wake(worker, ALICE);
  const begun = (await rowOf(worker, ALICE)).heartbeat_at;
  await worker.fake(ALICE, "set", { idleMs: 10 * MINUTE });
  const ring = async (after) => {
    await worker.ahead(begin + after);
    await worker.fake(ALICE, "alarm");
  };
  for (const after of [1, 2, 3, 4]) await ring(after * MINUTE);
  assert.equal((await rowOf(worker, ALICE)).heartbeat_at, begun, "nothing has changed");
  await ring(5 * MINUTE);
  const beat = await until(async () => {
    const { heartbeat_at: at } = await rowOf(worker, ALICE);
    return at > begun && at;
  }, "a heartbeat");
  await worker.fake(ALICE, "set", { phase: "restarting" });
  await ring(6 * MINUTE);
  await until(async () => (await rowOf(worker, ALICE)).health === "unhealthy", "the change is written at once");

  const database = await worker.database();
  await database.prepare("ALTER TABLE bots RENAME TO away").run();
  await worker.fake(ALICE, "set", { phase: "ready" });
  await ring(7 * MINUTE);
  await worker.logged("registry-not-written");
  await database.prepare("ALTER TABLE away RENAME TO bots").run();
  await ring(8 * MINUTE);
  const row = await until(async () => {
    const found = await rowOf(worker, ALICE);
    return found.health === "healthy" && found;
  }, "what failed is written at the next alarm");
  assert.ok(row.heartbeat_at > beat);
  assert.equal((await worker.record(ALICE)).starts.length, 1);
});

test("an object that is evicted each minute does not write its row each time", async (t) => {
  const worker = await startWorker(t);
  await wake(worker, ALICE);
  const begun = (await rowOf(worker, ALICE)).heartbeat_at;
  const beats = new Set();
  for (let minute = 1; minute <= 12; minute += 1) {
    await worker.fake(ALICE, "evict");
    await worker.ahead(minute * MINUTE);
    // Nothing happens at all.
    await worker.fake(ALICE, "set", { idleMs: minute * MINUTE });
    await worker.fake(ALICE, "alarm");
    // What was set going is over when the next alarm has been answered, at the same time.
    await worker.fake(ALICE, "alarm");
    beats.add((await rowOf(worker, ALICE)).heartbeat_at);
  }
  beats.delete(begun);
  assert.ok(beats.size >= 2 && beats.size <= 4, `${beats.size} heartbeats in twelve minutes`);
});

test("a Sandbox that hangs delays no other", async (t) => {
  const worker = await startWorker(t);
  const users = Array.from({ length: 30 }, (_, i) => id(i));
  await register(worker, users);
  await worker.fake(users[0], "hang?on=1");
  await worker.cron();
  await until(async () => Object.keys(await looks(worker)).length === 30, "all were asked");
  const rested = async () => (await worker.bots()).filter(({ awake }) => awake === 0).length;
  await until(async () => (await rested()) === 29, "the others have answered");
  assert.equal((await worker.ticks())[0].consumed, 1, "the one that hangs is still waited for");
  await worker.logged("sandbox-unanswered");
  await worker.consumed();
  const row = await rowOf(worker, users[0]);
  await worker.fake(users[0], "hang");
  assert.deepEqual([row.health, row.heartbeat_at, row.awake], ["unknown", 0, 1], "it stays late");
});

test("ticks at once do nothing twice", async (t) => {
  const worker = await startWorker(t);
  const users = Array.from({ length: 120 }, (_, i) => id(i));
  await register(worker, users);
  await Promise.all([worker.cron(), worker.cron(), worker.cron()]);
  await worker.cron();
  await worker.consumed();
  assert.deepEqual(await looks(worker), Object.fromEntries(users.map((user) => [user, 1])));
  const ticks = await worker.ticks();
  assert.equal(ticks.reduce((sum, { late }) => sum + late, 0), 120);
  for (const { late, queued } of ticks) assert.equal(queued, 1 + Math.ceil(late / 50), "fifty in a message");
});

test("what a tick that was cut short had taken is taken up again", async (t) => {
  const worker = await startWorker(t);
  await register(worker, [ALICE]);
  const database = await worker.database();
  // As a tick leaves it that ended before it had put anything on the queue.
  await database.prepare("UPDATE bots SET ticked_at = ?").bind(Date.now()).run();
  await worker.cron();
  await worker.consumed();
  assert.deepEqual(await looks(worker), {}, "it may still be on its way");
  await worker.ahead(4 * MINUTE + 1_000);
  await worker.cron();
  await worker.consumed();
  assert.deepEqual(await looks(worker), { [ALICE]: 1 });
});

test("cron does without a queue", async (t) => {
  const worker = await startWorker(t, { without: ["JOBS"] });
  assert.equal((await worker.as(ALICE, "/")).status, 200);
  await register(worker, Array.from({ length: 60 }, (_, i) => id(i)));
  await worker.cron();
  assert.equal(Object.keys(await looks(worker)).length, 60, "all of them, before the tick is over");
  const [{ late, queued }] = await worker.ticks();
  assert.deepEqual([late, queued], [60, 0]);
});

test("a message that cannot be read ends among the dead letters", async (t) => {
  const worker = await startWorker(t);
  assert.equal((await worker.as(ALICE, "/api/bot")).status, 200);
  const instances = await worker.fake("any", "instances");
  const poison = ["", "{", "null", '{"dance":{}}', '{"tick":{"tick":1,"users":["../x"]}}', 7, { probe: 1 }, "[".repeat(100_000)];
  const told = await worker.queue("moltbot-jobs", [...poison, '{"probe":{"tick":1}}']);
  assert.equal(told.outcome, "ok", "the handler never fails");
  assert.deepEqual(told.retryMessages, poison.map((_, i) => ({ msgId: `${i}`, delaySeconds: 60 })));
  assert.deepEqual(told.explicitAcks, [`${poison.length}`]);

  const database = await worker.database();
  await database.prepare("ALTER TABLE dead_jobs RENAME TO away").run();
  const away = await worker.queue("moltbot-jobs-dead", ["{", 7]);
  assert.deepEqual([away.outcome, away.retryMessages.length, away.explicitAcks], ["ok", 2, []], "they wait for D1");
  await database.prepare("ALTER TABLE away RENAME TO dead_jobs").run();
  const dead = await worker.queue("moltbot-jobs-dead", ['{"dance":{}}', 7, "x".repeat(1_000)]);
  assert.deepEqual([dead.outcome, dead.explicitAcks], ["ok", ["0", "1", "2"]]);
  const { results } = await database.prepare("SELECT at, body FROM dead_jobs ORDER BY id").all();
  assert.deepEqual(results.map(({ body }) => body), ['{"dance":{}}', "", "x".repeat(500)]);
  assert.ok(results.every(({ at }) => Math.abs(at - Date.now()) < MINUTE));
  await worker.cron();
  await worker.consumed();
  assert.match((await health(worker)).queue, /^degraded: 3 messages were given up within a quarter of an hour/);
  await worker.ahead(16 * MINUTE);
  await worker.cron();
  assert.doesNotMatch((await health(worker)).queue, /given up/);
  assert.equal(await worker.fake("any", "instances"), instances, "no instance has ended");
});

test("a day of ticks over a sleeping fleet starts and asks nothing", async (t) => {
  const worker = await startWorker(t);
  const users = Array.from({ length: 100 }, (_, i) => id(i));
  await register(worker, users, { state: "asleep", awake: 0 });
  for (let minute = 0; minute < 24 * 60; minute += 1) {
    await worker.ahead(minute * MINUTE);
    await worker.cron();
  }
  await worker.consumed();
  assert.deepEqual(await worker.asked(), []);
  const ticks = await worker.ticks();
  assert.equal(ticks.length, 24 * 60);
  assert.ok(ticks.every(({ late, queued, consumed }) => late === 0 && queued === 1 && consumed === 1));
  assert.ok((await worker.bots()).every(({ ticked_at: ticked }) => ticked === 0), "no row was written");
  for (const user of users.slice(0, 3)) assert.deepEqual((await worker.record(user)).starts, []);
  for (let minute = 0; minute < 60; minute += 1) await worker.cron();
  assert.equal((await worker.ticks()).length, 24 * 60, "older ones are forgotten once an hour");
});

/** What is written of the platform's parts, as `state: reason`. */
async function health(worker) {
  const database = await worker.database();
  const { results } = await database.prepare("SELECT component, state, reason FROM platform_health").all();
  return Object.fromEntries(results.map(({ component, state, reason }) => [component, reason ? `${state}: ${reason}` : state]));
}

test("each tick writes down how the parts of the platform are", async (t) => {
  const worker = await startWorker(t);
  await worker.cron();
  await worker.consumed();
  await worker.cron();
  await worker.consumed();
  assert.deepEqual(await health(worker), {
    cron: "ok", database: "ok", queue: "ok", bucket: "ok", "identity-provider": "ok", "container-platform": "unknown: nothing was started lately",
  });
  await wake(worker, ALICE);
  await until(async () => {
    await worker.cron();
    await worker.consumed();
    return (await health(worker))["container-platform"] === "ok";
  }, "a start that led to a bot");
  const database = await worker.database();
  const failed = database.prepare("INSERT INTO events (at, user_id, run, kind, actor) VALUES (?, ?, 1, 'start-failed', 'platform')");
  await database.batch([1, 2, 3].map(() => failed.bind(Date.now(), BOB)));
  await worker.cron();
  await worker.consumed();
  assert.equal((await health(worker))["container-platform"], "ok", "one bot that does not start is no failing platform");
  await database.batch([1, 2].map((other) => failed.bind(Date.now(), id(other))));
  await worker.cron();
  await worker.consumed();
  assert.match((await health(worker))["container-platform"], /^degraded: 3 bots could not be started and 1 could/);
  await worker.provider.set({ down: true });
  await worker.cron();
  await worker.consumed();
  const down = await health(worker);
  assert.match(down["identity-provider"], /^down: /);
  assert.equal(down.bucket, "ok");
});

for (const [by, comes] of [["request", (worker) => worker.as(ALICE, "/api/bot")], ["alarm", (worker) => worker.fake(ALICE, "alarm")]]) {
  test(`the next ${by} notices that cron has stopped`, async (t) => {
    const worker = await startWorker(t);
    await wake(worker, ALICE);
    await worker.cron();
    await worker.consumed();
    await worker.ahead(2 * MINUTE);
    await comes(worker);
    await worker.ahead(4 * MINUTE);
    assert.equal((await health(worker)).cron, "ok", "one was late");
    await comes(worker);
    await until(async () => /^down: the last tick began 2[34]\d seconds ago/.test((await health(worker)).cron), "it is noticed");
    await worker.cron();
    await worker.consumed();
    assert.match((await health(worker)).cron, /^degraded: between the last two ticks/);
    await worker.ahead(5 * MINUTE);
    await worker.cron();
    await worker.consumed();
    assert.equal((await health(worker)).cron, "ok");
  });
}

test("a monitor reads how the platform is, and 503 while something is wrong", async (t) => {
  const worker = await startWorker(t);
  const monitor = { authorization: `Bearer ${MONITOR_TOKEN}` };
  const look = async (query = "", headers = monitor) => {
    const answer = await worker.fetch(`/api/admin/health${query}`, { headers });
    const document = await answer.json();
    const parts = document.components?.map(({ component, health: its, reason }) => [component, reason ? `${its}: ${reason}` : its]);
    return [answer.status, document.health ?? document.code, parts ? Object.fromEntries(parts) : document.detail];
  };
  const lookedAt = "unknown: nobody has looked yet";
  assert.deepEqual(await look(), [200, "unknown", {
    cron: "unknown: no tick has been recorded", database: "healthy", bucket: lookedAt, queue: "unknown: no message has been done yet",
    "identity-provider": lookedAt, "container-platform": lookedAt, "alert-sinks": "unknown: no sink is set up",
  }]);
  await worker.cron();
  await worker.consumed();
  const well = {
    cron: "healthy", database: "healthy", bucket: "healthy", queue: "healthy", "identity-provider": "healthy",
    "container-platform": "unknown: nothing was started lately", "alert-sinks": "unknown: no sink is set up",
  };
  assert.deepEqual(await look(), [200, "healthy", well]);
  assert.deepEqual(await look("", worker.adminBearer()), [200, "healthy", well]);
  for (const wrong of ["", "x", `${MONITOR_TOKEN}x`, MONITOR_TOKEN.slice(1)]) {
    assert.equal((await look("", { authorization: `Bearer ${wrong}` }))[0], 401, wrong);
  }
  const { events } = await worker.asAdmin("GET", "/api/admin/events");
  const looks = events.filter(({ action, kind }) => action === "admin-read-health" && kind !== "changed");
  assert.deepEqual(looks.map(({ kind, code }) => [kind, code]), [["refused", "token-refused"]], "a look leaves no event, and a wrong token one a minute");

  await worker.provider.set({ down: true });
  await worker.cron();
  await worker.consumed();
  const [status, code, detail] = await look();
  assert.deepEqual([status, code], [503, "platform-unhealthy"]);
  assert.match(detail, /^identity-provider: /);
  const [full, overall, parts] = await look("?status=200");
  assert.deepEqual([full, overall, parts.bucket], [200, "unhealthy", "healthy"]);
  await worker.ahead(10 * MINUTE);
  const [, , late] = await look("?status=200");
  assert.match(late.cron, /^unhealthy: the last tick began 6\d\d seconds ago/);
  assert.match(late.bucket, /^unknown: nobody has looked for 10 minutes/);
  await (await worker.database()).prepare("ALTER TABLE platform_health RENAME TO away").run();
  assert.deepEqual(await look(), [503, "platform-unhealthy", "database: it does not answer"]);
  const [, , away] = await look("?status=200");
  assert.deepEqual([away.database, away.bucket], ["unhealthy: it does not answer", "unknown: the database would know, and does not answer"]);
  const levels = (await worker.logged("database-unanswered")).map(({ level }) => level);
  assert.deepEqual([...new Set(levels)], ["error"], "what no request causes is marked in the log");
});

test("without a monitor's token nobody is the monitor", async (t) => {
  const worker = await startWorker(t, { without: ["MONITOR_TOKEN"] });
  for (const token of ["", "undefined", MONITOR_TOKEN]) {
    const answer = await worker.fetch("/api/admin/health", { headers: { authorization: `Bearer ${token}` } });
    assert.equal(answer.status, 401, token);
  }
});
