import assert from "node:assert/strict";
import { test } from "node:test";
import { PAGE, signIn } from "./browser.mjs";
import { ADMIN, ALICE, BOB, ORIGIN, startWorker } from "./harness.mjs";
import { until } from "../until.mjs";

const CAROL = "de000000-0000-4000-8000-000000000003";

test("owners and admins can read a bot's log without waking it", async (t) => {
  const worker = await startWorker(t);
  const log = async (path = "") => {
    const answer = await worker.as(ALICE, `/api/bot/logs${path}`);
    return [answer.status, await answer.text()];
  };
  const [asleep, problem] = await log();
  assert.deepEqual([asleep, JSON.parse(problem).code], [409, "bot-asleep"]);
  assert.deepEqual((await worker.record(ALICE)).starts, []);
  await worker.as(ALICE, "/");
  assert.deepEqual(await log(), [200, "the last 200 lines"]);
  assert.deepEqual(await log("?lines=1000"), [200, "the last 1000 lines"]);
  assert.equal((await log("?lines=1001"))[0], 400);
  assert.equal((await log("?lines=many"))[0], 400);
  assert.equal((await worker.as(BOB, `/api/admin/bots/${ALICE}/logs`)).status, 403);
  assert.equal(await (await worker.admin(ALICE, "logs", "GET")).text(), "the last 200 lines");
  const { events } = await worker.asAdmin("GET", `/api/admin/bots/${ALICE}/events`);
  assert.deepEqual(events.filter(({ actor }) => actor === ADMIN).map(({ kind, detail }) => [kind, detail]), [["inspected", "read the log"]]);
});

test("a stopped bot is woken only by its owner's start order", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  assert.equal((await worker.order(ALICE, "stop")).status, 200);
  await worker.reaches(ALICE, "stopped");
  const refused = await worker.as(ALICE, "/");
  assert.equal(refused.status, 409);
  assert.equal((await refused.json()).code, "bot-stopped");
  assert.match(await (await worker.as(ALICE, "/", PAGE)).text(), /This bot is stopped/);
  assert.equal(await worker.socket(ALICE, "/ws", ORIGIN), 409);
  await worker.tick();
  await worker.fake(ALICE, "evict");
  assert.equal((await worker.as(ALICE, "/")).status, 409, "it is remembered");
  assert.equal((await worker.record(ALICE)).starts.length, 1);

  assert.equal((await (await worker.order(ALICE, "restart")).json()).code, "bot-stopped");
  assert.equal((await (await worker.order(ALICE, "start")).json()).state, "asleep");
  assert.equal((await worker.as(ALICE, "/")).status, 200);
  assert.equal((await worker.record(ALICE)).starts.length, 2);
});

test("a suspension ends by an admin's start and by no other order", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  assert.equal((await worker.admin(ALICE, "suspend")).status, 200);
  await worker.reaches(ALICE, "suspended");
  const ordered = async (order, by = "order") => {
    const answer = await worker[by](ALICE, order);
    return `${answer.status} ${(await answer.json()).code ?? "done"}`;
  };
  for (const order of ["start", "stop", "restart"]) assert.equal(await ordered(order), "403 bot-suspended", order);
  for (const order of ["stop", "restart"]) assert.equal(await ordered(order, "admin"), "403 bot-suspended", order);
  for (const order of ["sleep", "pin", "unpin"]) {
    for (const by of ["order", "admin"]) assert.equal(await ordered(order, by), "200 done", `${by} ${order}`);
  }
  assert.equal((await worker.status(ALICE)).state, "suspended");
  const refused = await worker.as(ALICE, "/");
  assert.equal(refused.status, 403);
  assert.equal((await refused.json()).code, "bot-suspended");
  assert.equal((await (await worker.admin(ALICE)).json()).state, "suspended");
  await worker.admin(ALICE, "start");
  assert.equal((await worker.as(ALICE, "/")).status, 200);
});

test("admin routes are for admins with a bearer token", async (t) => {
  const worker = await startWorker(t);
  const path = `/api/admin/bots/${ALICE}/suspend`;
  const post = (headers) => worker.fetch(path, { method: "POST", headers });
  assert.equal((await (await post(worker.bearer(BOB))).json()).code, "not-an-admin");
  assert.equal((await (await post(worker.bearer(ALICE))).json()).code, "not-an-admin");
  assert.equal((await (await post({})).json()).code, "sign-in-required");
  const self = worker.provider.token({ sub: BOB, user_metadata: { role: "admin" } });
  assert.equal((await (await post({ authorization: `Bearer ${self}` })).json()).code, "not-an-admin");
  assert.equal((await (await worker.admin("undefined", "suspend")).json()).code, "not-found");
  assert.equal((await worker.status(ALICE)).state, "asleep");
  assert.equal((await (await worker.admin(ALICE)).json()).state, "asleep", "looking does not wake");
  for (const user of [ALICE, BOB, ADMIN]) assert.deepEqual((await worker.record(user)).starts, []);
});

test("an idle bot is put to sleep, a busy or pinned one is not", async (t) => {
  const worker = await startWorker(t, { bindings: { SLEEP_AFTER: "60s" } });
  await worker.as(ALICE, "/");
  for (const behaviour of [{ idleMs: 59_000 }, { idleMs: 61_000, openRequests: 1 }, { idleMs: 61_000, listens: false }]) {
    await worker.fake(ALICE, "set", { openRequests: 0, listens: true, ...behaviour });
    await worker.fake(ALICE, "alarm");
    assert.equal((await worker.status(ALICE)).state, "running", JSON.stringify(behaviour));
  }
  await worker.fake(ALICE, "set", { listens: true, openRequests: 0, idleMs: 61_000 });
  assert.equal((await (await worker.order(ALICE, "pin")).json()).pinned, true);
  await worker.fake(ALICE, "alarm");
  assert.equal((await worker.status(ALICE)).state, "running");
  await worker.order(ALICE, "unpin");
  await worker.reaches(ALICE, "asleep");
  assert.deepEqual((await worker.record(ALICE)).signals, [15]);
});

test("a bot with background work and no traffic is not put to sleep", async (t) => {
  const worker = await startWorker(t, { bindings: { SLEEP_AFTER: "60s" } });
  await worker.as(ALICE, "/");
  const busy = { answer: "busy", blockers: ["1 embedded-run"], retry_after_ms: 20_000 };
  await worker.fake(ALICE, "set", { idleMs: 61_000, quiesce: busy });
  await worker.fake(ALICE, "alarm");
  assert.equal((await worker.status(ALICE)).state, "running");
  await worker.fake(ALICE, "set", { quiesce: { answer: "of a newer supervisor" } });
  await worker.fake(ALICE, "alarm");
  assert.equal((await worker.status(ALICE)).state, "running", "what is not understood is not a yes");
  const { orders, bodies } = await worker.record(ALICE);
  assert.deepEqual(orders, ["POST /v1/quiesce", "POST /v1/quiesce"]);
  // Whatever a run had to save with may have expired meanwhile, and it can save once more before it sleeps.
  for (const [, { token }] of bodies) assert.ok(Number(token.split(".")[5]) - Date.now() > 59 * 60_000, token);
  await worker.fake(ALICE, "set", { quiesce: { answer: "unsupported" } });
  await worker.fake(ALICE, "alarm");
  await worker.reaches(ALICE, "asleep");
});

test("a bot with unsavable changes is not put to sleep by the platform", async (t) => {
  const worker = await startWorker(t, { bindings: { SLEEP_AFTER: "60s" } });
  await worker.as(ALICE, "/");
  await worker.fake(ALICE, "set", { idleMs: 61_000, quiesce: { answer: "unsaved" } });
  await worker.fake(ALICE, "alarm");
  assert.equal((await worker.status(ALICE)).state, "running");
  assert.deepEqual((await worker.record(ALICE)).orders, ["POST /v1/quiesce"]);
  assert.equal((await worker.logged("sleep-put-off")).at(-1).for, "changes that are not saved");
});

test("only button orders accept a session, and only from our own origin", async (t) => {
  const worker = await startWorker(t);
  const cookie = await signIn(worker);
  const press = async (order, headers) => {
    const answer = await worker.fetch(`/api/bot/${order}`, { method: "POST", headers: { cookie, ...headers } });
    return answer.status === 303 ? answer.headers.get("location") : (await answer.json()).code;
  };
  await worker.order(ALICE, "stop");
  assert.match(await (await worker.fetch("/", { headers: { cookie, ...PAGE.headers } })).text(), /action="\/api\/bot\/start"/);
  assert.equal(await press("start", {}), "wrong-origin");
  assert.equal(await press("start", { origin: "https://evil.example" }), "wrong-origin");
  assert.equal(await press("start", { origin: "null" }), "wrong-origin");
  assert.equal(await press("stop", { origin: ORIGIN }), "bearer-required");
  assert.equal((await worker.status(ALICE)).state, "stopped");
  assert.equal(await press("start", { origin: ORIGIN }), "/");
  assert.equal((await worker.status(ALICE)).state, "asleep");
  assert.equal(await press("restart", { origin: ORIGIN }), "/");
  await worker.reaches(ALICE, "running");
});

test("cron finds an idle bot whose alarm was lost", async (t) => {
  const worker = await startWorker(t, { bindings: { SLEEP_AFTER: "60s" } });
  await worker.as(ALICE, "/");
  await until(async () => (await worker.bots())[0]?.state === "running", "the registry knows");
  await worker.fake(ALICE, "set", { idleMs: 61_000 });
  await worker.tick();
  await worker.reaches(ALICE, "asleep");
});

test("the longest idle bot is put to sleep when all slots are taken", async (t) => {
  const worker = await startWorker(t, { bindings: { MAX_AWAKE: "1", SLEEP_AFTER: "never" } });
  await worker.as(ALICE, "/");
  await until(async () => (await worker.bots())[0]?.state === "running", "the registry knows");
  const refused = await worker.as(BOB, "/");
  assert.equal(refused.status, 503);
  assert.equal((await refused.json()).code, "no-capacity");
  assert.ok(refused.headers.get("retry-after"));
  const page = await (await worker.as(BOB, "/", PAGE)).text();
  assert.match(page, /All places are taken/);
  assert.match(page, /data-again="\d+"/, "its script asks no more often than the answer is good for");
  assert.equal((await worker.status(ALICE)).state, "running", "a bot in use keeps its place");

  const database = await worker.mf.getD1Database("DB");
  await database.prepare("UPDATE bots SET active_at = ?, since = 0").bind(Date.now() - 10 * 60_000).run();
  assert.equal((await worker.as(BOB, "/")).status, 503);
  assert.equal((await worker.status(ALICE)).state, "running", "the answer is good for a moment");
  await worker.ahead(6_000);
  assert.equal((await worker.as(BOB, "/")).status, 503);
  await worker.reaches(ALICE, "asleep");
  await until(async () => (await worker.bots())[0].state === "asleep", "the registry knows that too");
  const rooms = (events) => events.filter(({ kind }) => kind === "no-capacity").map(({ detail }) => detail).filter((detail) => /room/.test(detail));
  const told = await until(async () => {
    const { events } = await (await worker.as(BOB, "/api/bot/events")).json();
    return rooms(events).length > 0 && rooms(events);
  }, "it is written down");
  assert.deepEqual(told, ["another bot makes room"], "whose is not told");
  assert.deepEqual(rooms((await worker.asAdmin("GET", `/api/admin/bots/${BOB}/events`)).events), [`${ALICE} makes room`]);
  await worker.ahead(12_000);
  assert.equal((await worker.as(BOB, "/")).status, 200);
  assert.deepEqual((await worker.record(BOB)).starts.length, 1);
});

test("a working bot keeps its slot and the next idle one is put to sleep", async (t) => {
  const worker = await startWorker(t, { bindings: { MAX_AWAKE: "2", SLEEP_AFTER: "never" } });
  for (const user of [ALICE, BOB]) await worker.as(user, "/");
  await worker.fake(ALICE, "set", { quiesce: { answer: "busy", blockers: ["1 embedded-run"], retry_after_ms: 20_000 } });
  await until(async () => (await worker.bots()).filter((row) => row.state === "running").length === 2, "the registry knows");
  const database = await worker.mf.getD1Database("DB");
  const idle = database.prepare("UPDATE bots SET active_at = ?, since = 0 WHERE user_id = ?");
  await idle.bind(Date.now() - 60 * 60_000, ALICE).run();
  await idle.bind(Date.now() - 10 * 60_000, BOB).run();
  assert.equal((await worker.as(ADMIN, "/")).status, 503);
  await worker.reaches(BOB, "asleep");
  assert.equal((await worker.status(ALICE)).state, "running");
});

test("a pinned bot and one in trouble are not asked for their slots", async (t) => {
  const worker = await startWorker(t, { bindings: { MAX_AWAKE: "3", SLEEP_AFTER: "never" } });
  for (const user of [ALICE, BOB, ADMIN]) await worker.as(user, "/");
  await worker.order(ALICE, "pin");
  await until(async () => (await worker.bots()).filter((row) => row.state === "running").length === 3, "the registry knows");
  await until(async () => (await worker.bots()).some((row) => row.pinned === 1), "the pin as well");
  const database = await worker.mf.getD1Database("DB");
  await database.prepare("UPDATE bots SET active_at = ?, since = 0").bind(Date.now() - 10 * 60_000).run();
  await database.prepare("UPDATE bots SET active_at = 0 WHERE user_id = ?").bind(ALICE).run();
  await database.prepare("UPDATE bots SET active_at = 1, state = 'unhealthy' WHERE user_id = ?").bind(BOB).run();
  assert.equal((await worker.as(CAROL, "/")).status, 503);
  const asked = (await worker.asked()).filter(([, command]) => command === "free-slot").map(([name]) => name);
  assert.deepEqual(asked, [`openclaw-${ADMIN}`]);
});

test("repeated requests of one caller put only one bot to sleep", async (t) => {
  const worker = await startWorker(t, { bindings: { MAX_AWAKE: "2", SLEEP_AFTER: "never" } });
  for (const user of [ALICE, BOB]) {
    await worker.as(user, "/");
    await worker.fake(user, "set", { lingers: true });
  }
  const states = async () => (await worker.bots()).filter((row) => row.awake).map((row) => row.state).sort().join();
  await until(async () => (await states()) === "running,running", "the registry knows both");
  const database = await worker.mf.getD1Database("DB");
  await database.prepare("UPDATE bots SET active_at = ?, since = 0").bind(Date.now() - 10 * 60_000).run();
  assert.equal((await worker.as(ADMIN, "/")).status, 503);
  await until(async () => (await states()) === "running,stopping", "one makes room");
  for (let i = 1; i <= 3; i += 1) {
    await worker.ahead(i * 6_000);
    assert.equal((await worker.as(ADMIN, "/")).status, 503);
  }
  const signals = [...(await worker.record(ALICE)).signals, ...(await worker.record(BOB)).signals];
  assert.deepEqual(signals, [15]);
});

test("a lack of slots is recorded once for repeated requests", async (t) => {
  const worker = await startWorker(t, { bindings: { MAX_AWAKE: "1", SLEEP_AFTER: "never" } });
  await worker.as(ALICE, "/");
  await until(async () => (await worker.bots())[0]?.state === "running", "the registry knows");
  const told = async () => {
    const { events } = await (await worker.as(BOB, "/api/bot/events")).json();
    return events.filter(({ kind }) => kind === "no-capacity").map(({ detail }) => detail);
  };
  for (let i = 0; i < 10; i += 1) {
    await worker.ahead(i * 6_000);
    assert.equal((await worker.as(BOB, "/")).status, 503);
  }
  assert.deepEqual(await until(async () => (await told()).length > 0 && told(), "it is written down"), ["none is idle"]);
  await worker.ahead(20 * 60_000);
  assert.equal((await worker.as(BOB, "/")).status, 503);
  await until(async () => (await told()).length === 2, "another incident is another entry");
});

test("a lack of slots is over ten minutes after the last request", async (t) => {
  const worker = await startWorker(t, { bindings: { MAX_AWAKE: "1", SLEEP_AFTER: "never" } });
  await worker.as(ALICE, "/");
  await until(async () => (await worker.bots())[0]?.state === "running", "the registry knows");
  assert.equal((await worker.as(BOB, "/")).status, 503);
  const wrong = async () => (await worker.asAdmin("GET", `/api/admin/bots?search=${BOB}`)).bots[0]?.incidents;
  await until(async () => (await wrong())?.[0] === "no-capacity", "the fleet shows it");
  await worker.ahead(11 * 60_000);
  await worker.fake(BOB, "alarm");
  await until(async () => (await wrong()).length === 0, "the fleet shows that it is over");
  assert.deepEqual((await worker.record(BOB)).starts, []);
});

test("a failed bot needs a slot for its retry", async (t) => {
  const worker = await startWorker(t, { bindings: { MAX_AWAKE: "1", SLEEP_AFTER: "never" } });
  await worker.fake(BOB, "set", { startThrows: "no machine" });
  assert.equal((await (await worker.as(BOB, "/")).json()).code, "bot-failed");
  await worker.as(ALICE, "/");
  await until(async () => (await worker.bots()).some(({ user_id, state }) => user_id === ALICE && state === "running"), "the registry knows");
  await worker.fake(BOB, "set", { startThrows: null });
  await worker.ahead(60_000);
  assert.equal((await (await worker.as(BOB, "/")).json()).code, "no-capacity");
  assert.deepEqual((await worker.record(BOB)).starts, []);
});
