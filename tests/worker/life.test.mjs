import assert from "node:assert/strict";
import { test } from "node:test";
import { PAGE } from "./browser.mjs";
import { ADMIN, ALICE, BOB, ORIGIN, startWorker } from "./harness.mjs";
import { until } from "../until.mjs";

test("a container is started with its complete environment", async (t) => {
  const worker = await startWorker(t, { bindings: { MODEL_BASE_URL: "http://models.test/v1", MODEL_ID: "m-1" } });
  assert.equal((await worker.as(ALICE, "/")).status, 200);
  const [{ env, enableInternet }] = (await worker.record(ALICE)).starts;
  const { MOLTBOT_CONTROL_TOKEN: token, MOLTBOT_INGRESS_SECRET: secret, ...others } = env;
  for (const one of [token, secret]) assert.match(one, /^[0-9a-f]{64}$/);
  assert.notEqual(token, secret);
  // What opens its snapshots is looked at in repository.test.mjs.
  const rest = Object.fromEntries(Object.entries(others).filter(([name]) => !/REPOSITORY|RESTORE/.test(name)));
  assert.deepEqual(rest, {
    MOLTBOT_USER_ID: ALICE,
    MOLTBOT_RUN: "1",
    MOLTBOT_ALLOWED_ORIGINS: ORIGIN,
    MOLTBOT_MODEL_BASE_URL: "http://models.test/v1",
    MOLTBOT_MODEL_ID: "m-1",
  });
  assert.equal(enableInternet, true);
});

test("fifty first requests at once start one container and are all answered", async (t) => {
  const worker = await startWorker(t);
  await worker.fake(ALICE, "set", { phase: "starting" });
  const answers = Array.from({ length: 50 }, (_, i) => worker.as(ALICE, `/n/${i}`));
  await until(async () => (await worker.status(ALICE)).phase === "starting-gateway", "the supervisor was heard");
  await worker.fake(ALICE, "set", { phase: "ready" });
  for (const [i, answer] of (await Promise.all(answers)).entries()) {
    assert.equal(answer.status, 200);
    assert.match((await answer.json()).url, new RegExp(`/n/${i}$`));
  }
  assert.equal((await worker.record(ALICE)).starts.length, 1);
});

test("reading a bot's state never wakes it", async (t) => {
  const worker = await startWorker(t);
  assert.equal((await worker.status(ALICE)).state, "asleep");
  await worker.tick();
  await worker.fake(ALICE, "command", "poll");
  assert.equal((await worker.as(ALICE, "/api/bot/sleep", { method: "POST" })).status, 200);
  assert.equal((await worker.status(ALICE)).state, "asleep");
  assert.deepEqual((await worker.record(ALICE)).starts, []);
});

test("a browser sees the start progress and a program waits", async (t) => {
  const worker = await startWorker(t);
  await worker.fake(ALICE, "set", { listens: false });
  const waiting = worker.as(ALICE, "/api-client");
  await worker.reaches(ALICE, "starting");
  assert.equal((await worker.status(ALICE)).phase, "allocating");

  const page = await worker.as(ALICE, "/", PAGE);
  assert.equal(page.status, 503);
  assert.ok(page.headers.get("retry-after"));
  const html = await page.text();
  assert.match(html, /Your bot is waking up/);
  assert.match(html, /data-step="allocating" class="now"/);

  await worker.fake(ALICE, "set", { listens: true, phase: "starting" });
  await until(async () => (await worker.status(ALICE)).phase === "starting-gateway", "the supervisor was heard");
  await worker.fake(ALICE, "set", { phase: "ready" });
  assert.equal((await waiting).status, 200);
  assert.equal((await worker.as(ALICE, "/", PAGE)).status, 200);
  const running = await worker.status(ALICE);
  assert.equal(running.state, "running");
  assert.equal(running.health, "healthy");
  assert.deepEqual(running.start, { tcp_ms: 1, ready_ms: 2 });
});

test("the next request replaces a dead container without affecting others", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  await worker.as(BOB, "/");
  await worker.fake(ALICE, "die");
  await worker.reaches(ALICE, "asleep");
  assert.equal((await worker.as(ALICE, "/")).status, 200);
  const { starts } = await worker.record(ALICE);
  assert.deepEqual(starts.map((start) => start.env.MOLTBOT_RUN), ["1", "2"]);
  assert.notEqual(starts[0].env.MOLTBOT_CONTROL_TOKEN, starts[1].env.MOLTBOT_CONTROL_TOKEN);
  assert.equal((await worker.record(BOB)).starts.length, 1);
  assert.equal((await worker.status(BOB)).state, "running");
});

test("a pinned bot and one with background work restart without a request", async (t) => {
  const worker = await startWorker(t, { bindings: { SLEEP_AFTER: "60s" } });
  await worker.as(ALICE, "/");
  await worker.order(ALICE, "pin");
  await worker.as(BOB, "/");
  const busy = { answer: "busy", blockers: ["1 listening channel"], retry_after_ms: 20_000 };
  await worker.fake(BOB, "set", { idleMs: 61_000, quiesce: busy });
  await worker.fake(BOB, "alarm");
  for (const user of [ALICE, BOB]) {
    await worker.fake(user, "die");
    const back = await until(async () => {
      const now = await worker.status(user);
      return now.run === 2 && now.state === "running" && now;
    }, `${user}'s bot is back`);
    assert.equal(back.failures, 1);
    await until(async () => {
      const { events } = await (await worker.as(user, "/api/bot/events")).json();
      const kinds = events.map(({ kind }) => kind);
      return ["died", "started", "ready"].every((kind) => kinds.includes(kind)) && kinds.filter((kind) => kind === "started").length === 2;
    }, "its history says so");
  }
  // An end that nobody saw is noticed when cron looks.
  await worker.fake(ALICE, "evict");
  await worker.fake(ALICE, "die");
  await worker.tick();
  await until(async () => (await worker.record(ALICE)).starts.length === 3, "it is started once more");
});

test("a request to a dead container is retried on the next one", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  await worker.fake(ALICE, "vanish");
  assert.equal((await worker.status(ALICE)).state, "running", "nobody has noticed");
  assert.equal((await worker.as(ALICE, "/again")).status, 200);
  const { starts, served } = await worker.record(ALICE);
  assert.equal(starts.length, 2);
  assert.deepEqual(served.map(({ url }) => new URL(url).pathname), ["/", "/again"]);
  // What changes something is not sent twice: its sender has to say so.
  await worker.fake(ALICE, "vanish");
  const change = await worker.as(ALICE, "/change", { method: "POST", body: "x" });
  assert.deepEqual([change.status, (await change.json()).code], [503, "bot-interrupted"]);
});

test("an unresponsive ingress has its own error", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  await worker.fake(ALICE, "set", { refuses: true });
  for (const init of [{}, { method: "POST", body: "x" }]) {
    const answer = await worker.as(ALICE, "/", init);
    assert.equal(answer.status, 503);
    assert.equal((await answer.json()).code, "bot-interrupted");
    assert.equal(answer.headers.get("retry-after"), "1");
  }
  const page = await worker.as(ALICE, "/", PAGE);
  assert.equal(page.status, 503);
  assert.match(await page.text(), /<h1>The bot stopped while answering; try again\./);
  assert.equal((await worker.record(ALICE)).starts.length, 1, "a container that runs is not replaced for that");
});

test("an ingress refusal is a page for browsers and a code for programs", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  for (const [code, title] of [["bot-waking", /Your bot is waking up/], ["bot-stopping", /Your bot is waking up/], ["bot-interrupted", /stopped while answering/]]) {
    await worker.fake(ALICE, "set", { ingressRefuses: code });
    const page = await worker.as(ALICE, "/chat", PAGE);
    assert.equal(page.status, 503, code);
    assert.match(page.headers.get("content-type"), /^text\/html/, code);
    assert.ok(page.headers.get("retry-after"), code);
    assert.match(await page.text(), title);
    const program = await worker.as(ALICE, "/chat");
    assert.deepEqual([program.status, (await program.json()).code], [503, code]);
  }
});

test("a failed start is reported and retried after a backoff", async (t) => {
  const worker = await startWorker(t);
  await worker.fake(ALICE, "set", { startThrows: "There is no container instance that can be provided" });
  const answer = await worker.as(ALICE, "/");
  assert.equal(answer.status, 503);
  const problem = await answer.json();
  assert.equal(problem.code, "bot-failed");
  assert.match(problem.detail, /no container to start/);
  assert.match(await (await worker.as(ALICE, "/", PAGE)).text(), /could not start/);
  const failed = await worker.status(ALICE);
  assert.equal(failed.state, "backing-off");
  await worker.fake(ALICE, "set", { startThrows: null });
  assert.equal((await worker.as(ALICE, "/")).status, 503, "not before its time");
  await until(() => Date.now() >= failed.retry_at, "the pause is over");
  assert.equal((await worker.as(ALICE, "/")).status, 200);
});

const MESSAGE = 'Unrecognized key: "foo"';
const GIVEN_UP = {
  phase: "crash-looped",
  crashLoop: { since_ms: 1, failures: 1, reason: "config-rejected", message: MESSAGE },
};
const MENDED = { phase: "ready", crashLoop: null };

test("a failed gateway is reported and its container keeps running", async (t) => {
  const worker = await startWorker(t);
  await worker.fake(ALICE, "set", GIVEN_UP);
  const refused = await worker.as(ALICE, "/");
  assert.equal(refused.status, 503);
  const { code, detail } = await refused.json();
  assert.deepEqual([code, detail], ["bot-crash-looped", `config-rejected: ${MESSAGE}`]);
  const given = await worker.status(ALICE);
  assert.deepEqual([given.state, given.health, given.reason], ["crash-looped", "unhealthy", detail]);
  const html = await (await worker.as(ALICE, "/", PAGE)).text();
  assert.match(html, /fails again and again/);
  assert.match(html, /Unrecognized key: &quot;foo&quot;/);
  assert.match(html, /action="\/api\/bot\/restart"/);
  await worker.fake(ALICE, "evict");
  assert.equal((await worker.status(ALICE)).state, "crash-looped", "it is remembered");
  assert.equal((await worker.record(ALICE)).kills, 0);

  await worker.fake(ALICE, "set", MENDED);
  assert.equal((await worker.as(ALICE, "/")).status, 200, "the next request finds it mended");
  assert.equal((await worker.record(ALICE)).starts.length, 1);
});

test("a gateway failure while running is reported like a failed start", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  await worker.fake(ALICE, "set", GIVEN_UP);
  const page = await worker.as(ALICE, "/", PAGE);
  assert.equal(page.status, 503);
  assert.match(await page.text(), /fails again and again/);
  assert.equal((await worker.status(ALICE)).state, "crash-looped");
});

test("a restart order restarts the gateway, or starts a missing container", async (t) => {
  const worker = await startWorker(t);
  await worker.fake(ALICE, "set", { ...GIVEN_UP, after: { "/v1/restart": MENDED } });
  await worker.as(ALICE, "/");
  assert.equal((await (await worker.order(ALICE, "restart")).json()).state, "running");
  assert.deepEqual((await worker.record(ALICE)).orders, ["POST /v1/restart"]);
  await worker.order(ALICE, "sleep");
  await worker.reaches(ALICE, "asleep");
  await worker.order(ALICE, "restart");
  await worker.reaches(ALICE, "running");
  assert.equal((await worker.record(ALICE)).starts.length, 2);
});

test("an unhealthy gateway is shown, still served, and heals or is replaced", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  await worker.fake(ALICE, "set", { phase: "restarting" });
  await worker.fake(ALICE, "command", "poll");
  const troubled = await worker.status(ALICE);
  assert.deepEqual([troubled.state, troubled.health], ["unhealthy", "unhealthy"]);
  assert.equal((await worker.as(ALICE, "/held")).status, 200, "the ingress holds and answers it");
  await worker.fake(ALICE, "set", { phase: "ready" });
  await worker.fake(ALICE, "alarm");
  assert.equal((await worker.status(ALICE)).state, "running");

  await worker.fake(ALICE, "set", { phase: "restarting" });
  await worker.fake(ALICE, "command", "poll");
  assert.equal((await worker.status(ALICE)).state, "unhealthy");
  await worker.ahead(4 * 60_000);
  await worker.fake(ALICE, "alarm");
  assert.equal((await worker.status(ALICE)).state, "unhealthy", "its supervisor has five minutes");
  await worker.ahead(5 * 60_000 + 1_000);
  await worker.fake(ALICE, "alarm");
  await worker.reaches(ALICE, "asleep");
  assert.deepEqual((await worker.record(ALICE)).signals, [15]);
  await worker.fake(ALICE, "set", { phase: "ready" });
  assert.equal((await worker.as(ALICE, "/")).status, 200);
  assert.equal((await worker.record(ALICE)).starts.length, 2);
});

test("a crash-looped container restarts only on an order", async (t) => {
  const worker = await startWorker(t);
  for (let deaths = 1; deaths <= 5; deaths += 1) {
    await until(async () => (await worker.as(ALICE, "/")).status === 200, `life ${deaths}`);
    await worker.fake(ALICE, "die");
    await until(async () => !["running", "starting"].includes((await worker.status(ALICE)).state), "the end was noticed");
  }
  const looped = await worker.status(ALICE);
  assert.deepEqual([looped.state, looped.failures], ["crash-looped", 5]);
  assert.ok(looped.retry_at > Date.now() + 60_000);
  assert.equal((await (await worker.as(ALICE, "/")).json()).code, "bot-crash-looped");
  assert.equal((await worker.record(ALICE)).starts.length, 5);
  await worker.order(ALICE, "restart");
  assert.equal((await worker.as(ALICE, "/")).status, 200);
});

test("a restore shows its progress", async (t) => {
  const worker = await startWorker(t);
  const amount = (files, bytes) => ({ files, bytes });
  const backup = { under_way: { doing: "restore", done: amount(5, 1e6), total: amount(50, 9e6) } };
  await worker.fake(ALICE, "set", { phase: "restoring", backup });
  const waiting = worker.as(ALICE, "/");
  const restoring = await until(async () => {
    const now = await worker.status(ALICE);
    return now.state === "restoring" && now;
  }, "it restores");
  assert.deepEqual(restoring.restoring, backup.under_way);
  assert.match(await (await worker.as(ALICE, "/", PAGE)).text(), /5 of 50 files, 1 of 9 MB/);
  await worker.fake(ALICE, "set", { phase: "ready", backup: null });
  assert.equal((await waiting).status, 200);
});

test("the run and its token survive an eviction", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  await worker.fake(ALICE, "evict");
  const back = await worker.status(ALICE);
  assert.equal(back.state, "running");
  assert.equal(back.run, 1);
  await worker.fake(ALICE, "command", "poll");
  assert.equal((await worker.status(ALICE)).health, "healthy", "the control token was kept");
  assert.equal((await worker.as(ALICE, "/")).status, 200);
  assert.equal((await worker.record(ALICE)).starts.length, 1);

  // And an end that nobody saw is noticed at the next look.
  await worker.fake(ALICE, "evict");
  await worker.fake(ALICE, "die");
  assert.equal((await worker.status(ALICE)).state, "asleep");
});

test("sleep sends SIGTERM, and the next request wakes the bot", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  const answer = await worker.as(ALICE, "/api/bot/sleep", { method: "POST" });
  assert.equal(answer.status, 200);
  await worker.reaches(ALICE, "asleep");
  assert.deepEqual((await worker.record(ALICE)).signals, [15]);
  assert.equal((await worker.as(ALICE, "/")).status, 200);
  assert.equal((await worker.record(ALICE)).starts.length, 2);
});

test("the registry is updated, and cron checks only bots listed as awake", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  await worker.as(BOB, "/");
  const rows = await until(async () => {
    const rows = await worker.bots();
    return rows.length === 2 && rows.every((row) => row.state === "running") && rows;
  }, "both are registered");
  assert.deepEqual(rows.map((row) => [row.run, row.health, row.ticked_at]), [[1, "healthy", 0], [1, "healthy", 0]]);
  assert.ok(rows.every((row) => Math.abs(Date.now() - row.heartbeat_at) < 60_000));

  await worker.fake(BOB, "set", { phase: "restarting", idleMs: 0 });
  const health = async (user) => (await worker.bots()).find((row) => row.user_id === user).health;
  const becomes = (user, expected) => until(async () => (await health(user)) === expected, `the row is ${expected}`);
  await worker.tick();
  await becomes(BOB, "unhealthy");
  const both = Object.fromEntries((await worker.bots()).map((row) => [row.user_id, row]));
  assert.deepEqual([both[ALICE].health, both[BOB].health], ["healthy", "unhealthy"], "each its own");
  assert.ok(both[ALICE].ticked_at > 0 && both[BOB].ticked_at > 0);
  assert.ok(both[BOB].active_at > 0);

  await worker.as(BOB, "/api/bot/sleep", { method: "POST" });
  await until(async () => (await worker.bots()).find((row) => row.user_id === BOB).state === "asleep", "Bob is seen asleep");
  await worker.tick();
  const after = Object.fromEntries((await worker.bots()).map((row) => [row.user_id, row]));
  assert.equal(after[ALICE].health, "healthy");
  assert.ok(after[ALICE].ticked_at > 0);
  assert.equal(after[BOB].ticked_at, 0, "nobody looks at one that sleeps");
  assert.equal((await worker.record(BOB)).starts.length, 1);

  await worker.fake(ALICE, "set", { phase: "restarting" });
  await worker.tick();
  await becomes(ALICE, "unhealthy");
  await worker.fake(ALICE, "set", { listens: false });
  await worker.tick();
  // No answer is neither.
  await becomes(ALICE, "unknown");
  assert.equal((await worker.record(ALICE)).starts.length, 1);
  assert.equal((await worker.record(ALICE)).kills, 0);
});

test("what outlived a gateway is in its owner's history, once", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  const told = async () => {
    const { events } = await (await worker.as(ALICE, "/api/bot/events")).json();
    return events.filter(({ kind }) => kind === "outlived").map(({ run, actor, detail }) => [run, actor, Number.parseInt(detail, 10)]);
  };
  for (const outlived of [25, 25, 30]) {
    await worker.fake(ALICE, "set", { outlived });
    await worker.fake(ALICE, "command", "poll");
  }
  await until(async () => (await told()).length > 1, "both are told");
  assert.deepEqual(await told(), [[1, "platform", 5], [1, "platform", 25]]);
  // One that is loaded anew knows what it told.
  await worker.fake(ALICE, "evict");
  await worker.fake(ALICE, "command", "poll");
  await worker.fake(ALICE, "set", { outlived: 31 });
  await worker.fake(ALICE, "command", "poll");
  await until(async () => (await told()).length > 2, "the next one is told");
  assert.deepEqual((await told()).map(([, , count]) => count), [1, 5, 25]);
});

test("a bot's history can be read by its owner and by admins", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  await worker.as(BOB, "/");
  await worker.fake(ALICE, "die");
  await worker.reaches(ALICE, "asleep");
  await worker.admin(ALICE, "suspend");
  const read = async (path, user = ALICE) => (await (await worker.as(user, path)).json()).events;
  const told = await until(async () => {
    const events = await read("/api/bot/events");
    return events.length === 6 && events;
  }, "all entries are there");
  assert.deepEqual(
    new Set(told.map(({ kind, actor, detail }) => [kind, actor, detail].join())),
    new Set(["started,platform,", "ready,platform,", `died,platform,${told.find(({ kind }) => kind === "died").detail}`,
      `ordered,${ADMIN},suspend`, "suspended,platform,", "changed,owner,became a user because anybody may"]),
  );
  assert.match(told.find(({ kind }) => kind === "died").detail, /137/);
  assert.ok(told.every(({ user_id, at }) => user_id === ALICE && Math.abs(Date.now() - at) < 60_000));
  const older = await read(`/api/bot/events?before=${told[1].id}`);
  assert.deepEqual(older.map(({ id }) => id), told.slice(2).map(({ id }) => id));
  assert.equal((await worker.as(ALICE, "/api/bot/events?before=x")).status, 400);

  assert.equal((await worker.as(ALICE, "/api/admin/events")).status, 403);
  const all = await worker.asAdmin("GET", "/api/admin/events");
  // The admin became a user as well; null is what Alice was refused: it is about nobody's bot.
  assert.deepEqual(new Set(all.events.map(({ user_id }) => user_id)), new Set([ADMIN, ALICE, BOB, null]));

  const database = await worker.mf.getD1Database("DB");
  await database.prepare("UPDATE events SET at = 0 WHERE kind = 'started'").run();
  // What is old is forgotten once an hour, at each sixtieth tick.
  await database.prepare("INSERT INTO cron_ticks (id, started_at) VALUES (59, ?)").bind(Date.now()).run();
  await worker.tick();
  assert.deepEqual((await read("/api/bot/events")).filter(({ kind }) => kind === "started"), []);
});
