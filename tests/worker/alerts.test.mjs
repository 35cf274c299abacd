// Alerts: what the registry says is wrong reaches its sinks once, and so does its end.
import test from "node:test";
import assert from "node:assert/strict";
import { Webhook } from "standardwebhooks";
import { MINUTE, SECRET, SINKS, bot, start } from "./alerts.mjs";
import { ADMIN, ALICE } from "./harness.mjs";
import { until } from "../until.mjs";

/** As the receiver of a webhook checks it, at the Worker's time. */
function verify(t, { headers, body }) {
  t.mock.timers.enable({ apis: ["Date"], now: Number(headers["webhook-timestamp"]) * 1_000 });
  try {
    return new Webhook(SECRET).verify(body, headers);
  } finally {
    t.mock.timers.reset();
  }
}

test("each thing that is wrong is told once, signed, and its end once", async (t) => {
  const { receiver, minutes, sink, wrong, well, component, told } = await start(t, { bindings: { MAX_AWAKE: "2" } });
  await sink("ops");
  await wrong(1, { state: "running", awake: 1, health: "unhealthy" });
  await wrong(2, { state: "crash-looped" });
  await wrong(3, { state: "starting", awake: 1 });
  await wrong(4, {
    incidents: [
      "backup-failing", "backup-overdue", "restore-failing", "passed-over", "maintenance-failing", "repository-damaged", "drill-failing", "out-of-memory",
    ],
  });
  await wrong(5, { incidents: ["no-capacity"] });
  // Its Sandbox is asked and knows of no such run.
  await wrong(6, { state: "restoring", awake: 1, heartbeat: Date.now() - 12 * MINUTE });
  for (const name of ["cron", "database", "identity-provider", "queue"]) await component(name, "down");
  await minutes(14);
  const rules = [
    "backup-failing", "backup-overdue", "bot-unhealthy", "bot-unhealthy", "capacity-refused", "capacity-short", "crash-loop", "cron-late",
    "database-failing", "drill-failing", "identity-down", "maintenance-failing", "out-of-memory", "passed-over", "queue-failing", "repository-damaged", "restore-failing", "start-slow",
  ];
  assert.deepEqual(told().sort(), rules.map((rule) => `${rule} opened`));

  await well();
  for (const name of ["cron", "database", "identity-provider", "queue"]) await component(name, "ok");
  await minutes(8);
  assert.deepEqual(told().sort(), rules.flatMap((rule) => [`${rule} opened`, `${rule} recovered`]).sort());
  for (const one of receiver.got) assert.equal(verify(t, one).data.incident, JSON.parse(one.body).data.incident);
  const forged = { ...receiver.got[0], body: receiver.got[0].body.replace("opened", "closed") };
  assert.throws(() => verify(t, forged), /signature/i);
  assert.equal(new Set(receiver.got.map(({ headers }) => headers["webhook-id"])).size, receiver.got.length);
  await minutes(3);
  assert.equal(receiver.got.length, 2 * rules.length, "and nothing else");
});

test("what is to be told goes through the queue where there is one", async (t) => {
  const { worker, minutes, sink, wrong, told } = await start(t, { queue: true });
  await sink("ops");
  await minutes(1);
  // Only what has taken a message is known to work.
  await worker.consumed();
  await wrong(1, { incidents: ["repository-damaged"] });
  await minutes(1);
  await until(() => told().length > 0, "the message");
  assert.deepEqual(told(), ["repository-damaged opened"]);
  const [{ queued, consumed }] = await worker.ticks();
  assert.ok(queued === 1 && consumed <= 1, "which is not counted as one of the tick's looks");
});

test("a bucket that fails is told once, and not a hundred bots with it", async (t) => {
  const { worker, minutes, sink, wrong, well, component, told } = await start(t);
  await sink("ops");
  await component("bucket", "down");
  // Nobody hears of them any more afterwards.
  for (let number = 1; number <= 100; number++) await wrong(number, { incidents: ["restore-failing"], heartbeat: Date.now() });
  await minutes(5);
  assert.deepEqual(told(), ["bucket-down opened"]);
  const { incidents } = await worker.asAdmin("GET", "/api/admin/incidents?state=open&rule=restore-failing");
  assert.equal(incidents.length, 100);
  assert.ok(incidents.every(({ parent, told_at }) => parent && told_at === null));
  await component("bucket", "ok");
  await minutes(7);
  assert.deepEqual(told(), ["bucket-down opened", "bucket-down recovered"], "and of none of them that it is as it was");
  await wrong(7, { incidents: ["restore-failing"] });
  await minutes(1);
  assert.deepEqual(told(), ["bucket-down opened", "bucket-down recovered", "restore-failing opened"]);
});

test("a sink that is down loses nothing, and the other sink is told of it", async (t) => {
  let down = true;
  const { receiver, worker, minutes, sink, wrong, well, told } = await start(t, {
    answer: (path) => (down && path === "/ops" ? 503 : 200),
  });
  await sink("ops");
  await sink("spare");
  await wrong(1, { incidents: ["repository-damaged"] });
  await minutes(10);
  await well();
  await minutes(50);
  const failed = receiver.got.filter(({ path }) => path === "/ops");
  assert.ok(failed.length >= 5 && failed.length <= 12, `${failed.length} tries in an hour`);
  assert.deepEqual(new Set(failed.map(({ headers }) => headers["webhook-id"])).size, 1, "its end waits behind its beginning");
  assert.deepEqual(told("spare"), ["repository-damaged opened", "sink-failing opened", "repository-damaged recovered"]);
  const [ops] = (await worker.asAdmin("GET", SINKS)).sinks;
  assert.deepEqual([ops.name, ops.waiting, ops.last_error], ["ops", 2, "it answered 503"]);
  const sinks = async () => {
    const { components } = await worker.asAdmin("GET", "/api/admin/health?status=200");
    const { health, reason } = components.find(({ component }) => component === "alert-sinks");
    return [health, reason];
  };
  assert.deepEqual(await sinks(), ["unhealthy", "ops: it answered 503"]);

  down = false;
  receiver.got.length = 0;
  await minutes(20);
  assert.deepEqual(told("ops"), ["repository-damaged opened", "repository-damaged recovered"]);
  assert.deepEqual(told("spare"), ["sink-failing recovered"]);
  assert.deepEqual(await sinks(), ["healthy", null]);
});

test("without a queue bots are looked at before a sink is waited for", async (t) => {
  const { receiver, worker, sink, wrong } = await start(t);
  await sink("ops");
  await wrong(1, { incidents: ["repository-damaged"] });
  await wrong(2, { state: "running", awake: 1, health: "healthy", heartbeat: Date.now() - 12 * MINUTE });
  receiver.hangs = true;
  await worker.fake("any", "hurry?times=5");
  const ticking = worker.cron();
  await until(() => receiver.got.length > 0, "the message");
  const looked = (await worker.asked()).filter(([, command]) => command === "poll").map(([name]) => name);
  assert.deepEqual([looked, receiver.closed], [[`openclaw-${bot(2)}`], 0]);
  await ticking;
});

test("a slow sink is let go of after two minutes, and loses nothing", async (t) => {
  const { receiver, worker, minutes, sink, wrong, told } = await start(t);
  await sink("ops");
  for (let number = 1; number <= 8; number++) await wrong(number, { incidents: ["repository-damaged"] });
  let ahead = 0;
  // As if each answer took a minute.
  receiver.answer = async () => {
    ahead += MINUTE;
    await worker.ahead(ahead);
    return 200;
  };
  await worker.cron();
  const first = told().length;
  assert.ok(first >= 2 && first <= 3, `${first} in two minutes`);
  await worker.cron();
  assert.equal(told().length, 2 * first, "the next tick goes on at once");
  receiver.answer = () => 200;
  await worker.cron();
  assert.deepEqual([told().length, new Set(receiver.got.map(({ headers }) => headers["webhook-id"])).size], [8, 8]);
});

test("thousands of bots over their limit hide no other bot, and wait for it", async (t) => {
  const { database, minutes, sink, wrong, told } = await start(t);
  await sink("ops");
  await database.prepare(
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2001)
     INSERT INTO bots (user_id, state, awake, run, since, health, incidents, heartbeat_at)
     SELECT '00000000-0000-4000-8000-' || printf('%012d', i), 'asleep', 0, 9, 0, 'unknown', '["spend-over-limit"]', 1 FROM n`,
  ).run();
  await minutes(1);
  assert.equal(told().filter((one) => one === "spend-over-limit opened").length, 50, "what one tick sends");
  await wrong(9_000, { state: "crash-looped", since: Date.now() - 5 * MINUTE });
  await minutes(2);
  const others = told().filter((one) => !one.startsWith("spend-"));
  assert.deepEqual(others.sort(), ["bots-left-out opened", "crash-loop opened"]);
  const { rows } = await database.prepare("SELECT count(*) AS rows FROM incidents WHERE rule = 'spend-over-limit'").first();
  assert.ok(rows > 1_490 && rows < 1_500, `${rows} of them in three ticks`);
});

test("ticks that overlap, and one that is cut short, tell nothing twice", async (t) => {
  const { receiver, worker, database, minutes, sink, wrong, told } = await start(t);
  await sink("ops");
  for (let number = 1; number <= 20; number++) await wrong(number, { incidents: ["repository-damaged"] });
  await Promise.all(Array.from({ length: 4 }, () => worker.cron()));
  await minutes(2);
  assert.equal(told().length, 20);
  assert.equal(new Set(receiver.got.map(({ headers }) => headers["webhook-id"])).size, 20);
  // Whoever took these was killed before it sent them: they are taken again.
  await database.prepare("UPDATE alert_deliveries SET done_at = NULL, delivered = 0 WHERE num <= 3").run();
  await minutes(15);
  assert.equal(told().length, 23);
  assert.equal(new Set(receiver.got.map(({ headers }) => headers["webhook-id"])).size, 20, "with the ids they had");
});

test("every kind of sink is sent to in its own form, and tried on demand", async (t) => {
  const { receiver, worker, sink } = await start(t);
  await sink("slack", { kind: "slack" });
  await sink("discord", { kind: "discord" });
  await sink("telegram", { kind: "telegram", url: receiver.url, secret: "1:abc", chat: "-100" });
  await sink("alertmanager", { kind: "alertmanager", url: receiver.url, secret: "let-me-in" });
  for (const name of ["slack", "discord", "telegram", "alertmanager"]) {
    const tried = await worker.asAdmin("POST", `${SINKS}/test`, { name });
    assert.deepEqual([tried.delivered, tried.error], [true, null], name);
  }
  assert.match(receiver.at("/slack")[0].text, /^\[test\] /);
  assert.match(receiver.at("/discord")[0].content, /^\[test\] /);
  assert.equal(receiver.at("/bot1:abc/sendMessage")[0].chat_id, "-100");
  assert.equal(receiver.at("/api/v2/alerts")[0][0].labels.alertname, "test");
  assert.equal(receiver.got.at(-1).headers.authorization, "Bearer let-me-in");

  receiver.answer = () => [302, { location: `${receiver.url}/elsewhere` }];
  const tried = await worker.asAdmin("POST", `${SINKS}/test`, { name: "slack" });
  assert.deepEqual([tried.delivered, tried.error], [false, "it answered 302"]);
  assert.equal(receiver.at("/elsewhere").length, 0, "a redirect is not followed");
  assert.equal((await worker.asAdmin("POST", `${SINKS}/test`, { name: "none" })).code, "no-such-entry");
  assert.equal((await worker.asAdmin("DELETE", SINKS, { name: "slack" })).sinks.length, 3);
  assert.equal((await worker.asAdmin("DELETE", SINKS, { name: "slack" })).code, "no-such-entry");
});

test("a sink that hangs is let go of at its deadline", async (t) => {
  const { receiver, worker, sink } = await start(t);
  await sink("ops");
  receiver.hangs = true;
  await worker.fake("any", "hurry?times=50");
  const tried = await worker.asAdmin("POST", `${SINKS}/test`, { name: "ops" });
  assert.deepEqual([tried.delivered, tried.error], [false, "it did not answer within 10 seconds, or cannot be reached"]);
  await until(() => receiver.closed === 1, "its connection is closed");
});

test("an Alertmanager is told again what goes on, and nobody else is", async (t) => {
  const { receiver, minutes, sink, wrong, well, told } = await start(t);
  await sink("ops");
  await sink("am", { kind: "alertmanager", url: receiver.url });
  for (const number of [1, 2]) await wrong(number, { incidents: ["passed-over"] });
  await minutes(21);
  const sent = () => receiver.at("/api/v2/alerts").map((alerts) => alerts.length);
  const again = sent().filter((alerts) => alerts === 2).length;
  assert.ok(again >= 4 && again <= 6, `${sent()}`);
  assert.deepEqual(told(), ["passed-over opened", "passed-over opened"]);
  const [alert] = receiver.at("/api/v2/alerts").at(-1);
  assert.ok(Date.parse(alert.endsAt) - Date.parse(alert.startsAt) > 30 * MINUTE, "it goes on there");
  await well();
  await minutes(12);
  assert.ok(sent().slice(-2).every((alerts) => alerts === 1), "what is over is not told again");
});

test("a settings document with a rule of another version keeps the rest", async (t) => {
  const { worker, database } = await start(t);
  await worker.asAdmin("POST", "/api/admin/alerts/settings", { rules: [{ rule: "passed-over", off: true }] });
  await database.prepare("UPDATE alert_settings SET document = replace(document, '[', '[{\"rule\":\"bored\"},')").run();
  const { rules } = await worker.asAdmin("GET", "/api/admin/alerts/settings");
  assert.deepEqual(rules.filter(({ off }) => off).map(({ rule }) => rule), ["passed-over"]);
});

test("alerts are sent to no address inside a network", async (t) => {
  const { worker } = await start(t);
  const set = (url, more) => worker.asAdmin("POST", SINKS, { name: "x", kind: "slack", url, ...more });
  for (const url of [
    "https://127.0.0.1/x", "https://2130706433/x", "https://0x7f.1/x", "https://[::1]/x", "https://[::ffff:169.254.169.254]/x",
    "https://localhost/x", "https://metadata.google.internal/x", "https://169.254.169.254/latest/meta-data", "http://example.com/x",
    "https://user@example.com/x", "https://a.local./x", "ftp://example.com/x", "https://10.0.0.5:9093/x",
  ]) {
    const refused = await set(url);
    assert.deepEqual([refused.status, refused.code], [400, "bad-request"], url);
    assert.match(refused.detail, /^url: /, url);
  }
  assert.equal((await set("https://hooks.example.com/x", { secret: "x" })).status, 400);
  assert.deepEqual((await worker.asAdmin("GET", SINKS)).sinks, []);
});

test("what opens a sink is in no answer, no row, no event and no log", async (t) => {
  const { receiver, worker, database, minutes, sink, wrong } = await start(t, { answer: () => 500 });
  const secrets = ["opens-slack", "123:opens-telegram", "opens-alertmanager", SECRET, SECRET.slice(6)];
  await sink("slack", { kind: "slack", url: `${receiver.url}/opens-slack` });
  await sink("telegram", { kind: "telegram", url: receiver.url, secret: "123:opens-telegram", chat: "-100" });
  await sink("am", { kind: "alertmanager", secret: "opens-alertmanager" });
  await sink("ops");
  // An address where nobody answers, as the runtime's own error would name it.
  await sink("gone", { kind: "slack", url: "http://127.0.0.1:1/opens-slack" });
  await wrong(1, { incidents: ["repository-damaged"] });
  await minutes(3);
  for (const name of ["slack", "telegram", "am", "ops", "gone"]) await worker.asAdmin("POST", `${SINKS}/test`, { name });
  assert.ok(receiver.got.some(({ path }) => path.includes("opens-telegram")), "they are used");
  const shown = [JSON.stringify(await worker.asAdmin("GET", SINKS)), JSON.stringify(await worker.asAdmin("GET", "/api/admin/events"))];
  for (const table of ["alert_sinks", "alert_deliveries", "incidents", "events"]) {
    shown.push(JSON.stringify((await database.prepare(`SELECT * FROM ${table}`).all()).results));
  }
  await worker.logged("alert-not-delivered");
  shown.push(worker.log.text);
  for (const secret of secrets) assert.ok(!shown.some((text) => text.includes(secret)), secret);
});

test("admins mute, acknowledge and set thresholds, and all of it is recorded", async (t) => {
  const { worker, minutes, sink, wrong, told } = await start(t);
  await sink("ops");
  const until = Date.now() + 20 * MINUTE;
  const muted = await worker.asAdmin("POST", "/api/admin/alerts/mutes", { subject: bot(1), until });
  assert.deepEqual(muted.mutes.map(({ rule, subject, muted_by }) => [rule, subject, muted_by]), [[null, bot(1), ADMIN]]);
  await wrong(1, { incidents: ["repository-damaged"] });
  await wrong(2, { incidents: ["passed-over"] });
  await minutes(3);
  assert.deepEqual(told(), ["passed-over opened"]);
  for (const subject of ["", "x".repeat(65)]) {
    assert.equal((await worker.asAdmin("DELETE", "/api/admin/alerts/mutes", { subject })).code, "bad-request", "no other mute is ended");
  }
  await worker.asAdmin("DELETE", "/api/admin/alerts/mutes", { subject: bot(1) });
  await minutes(1);
  assert.deepEqual(told(), ["passed-over opened", "repository-damaged opened"]);

  const page = await worker.asAdmin("GET", `/api/admin/incidents?state=open&subject=${bot(1)}`);
  assert.deepEqual(page.incidents.map(({ rule, severity, runbook }) => [rule, severity, runbook]), [
    ["repository-damaged", "critical", "docs/operations.md#repository-damaged"],
  ]);
  const known = await worker.asAdmin("POST", "/api/admin/incidents/acknowledge", { id: page.incidents[0].id });
  assert.equal(known.acknowledged_by, ADMIN);
  await minutes(65);
  assert.deepEqual(told().slice(2), ["passed-over escalated"], "what somebody knows of is not told again");
  const off = { rules: [{ rule: "passed-over", off: true }], quiet: { from: "22:00", to: "06:30" } };
  const set = await worker.asAdmin("POST", "/api/admin/alerts/settings", off);
  assert.equal(set.rules.find(({ rule }) => rule === "passed-over").off, true);
  const again = await worker.asAdmin("GET", "/api/admin/alerts/settings");
  assert.deepEqual([again.quiet, again.rules], [set.quiet, set.rules]);

  for (const [path, document] of [
    ["mutes", { until }], ["mutes", { rule: "crash-loop", until: 1 }], ["mutes", { rule: "crash-loop", until: until + 32 * 1_440 * MINUTE }],
    ["mutes", { rule: "bored", until }], ["settings", { quiet: { from: "22:00", to: "25:00" } }], ["settings", { quite: null }],
    ["settings", { rules: [{ rule: "crash-loop", opens_after_s: 86_401 }] }],
  ]) {
    const refused = await worker.asAdmin("POST", `/api/admin/alerts/${path}`, document);
    assert.equal(refused.status, 400, JSON.stringify([path, document, refused]));
  }
  const { events } = await worker.asAdmin("GET", "/api/admin/events");
  const changed = events.filter(({ kind }) => kind === "changed").map(({ action, detail }) => `${action}: ${detail}`);
  assert.ok(changed.includes(`admin-mute: every rule at ${bot(1)} until ${until}`), changed.join("\n"));
  assert.ok(changed.some((text) => text.startsWith("admin-set-alert-sink: ops webhook 127.0.0.1:")), changed.join("\n"));
});

test("an owner is told what is wrong with their bot", async (t) => {
  const { worker } = await start(t);
  await worker.as(ALICE, "/");
  assert.equal((await worker.status(ALICE)).incidents, undefined);
  const restored = { snapshot: null, restored_at: 10, duration_ms: 1, amount: { files: 0, bytes: 0 }, compared: 0, mismatches: 0 };
  const error = { doing: "snapshot", message: "the disk is full", attempts: 3, failed_at: 5 };
  await worker.fake(ALICE, "set", { backup: { restored, error } });
  await worker.fake(ALICE, "command", "poll");
  const told = await until(async () => (await worker.status(ALICE)).incidents, "the incident is told");
  assert.deepEqual(told, ["backup-failing"]);
});

test("a sleeping fleet changes no row, and only what is wrong is read", async (t) => {
  const { worker, database, minutes, sink, wrong } = await start(t);
  await sink("ops");
  for (let number = 1; number <= 50; number++) await wrong(number);
  await minutes(3);
  for (const table of ["incidents", "alert_deliveries"]) {
    assert.equal((await database.prepare(`SELECT count(*) AS rows FROM ${table}`).first()).rows, 0, table);
  }
  const plan = await database.prepare(
    "EXPLAIN QUERY PLAN SELECT * FROM bots WHERE ((awake = 1 AND (health <> 'healthy' OR state <> 'running')) OR state IN ('backing-off', 'crash-looped') " +
    "OR incidents <> '[]') AND NOT (awake = 0 AND state NOT IN ('backing-off', 'crash-looped') AND incidents IN ('x', 'y')) UNION ALL " +
    "SELECT * FROM bots WHERE incidents <> '[]' AND awake = 0 AND state NOT IN ('backing-off', 'crash-looped') AND incidents IN ('x', 'y') " +
    "UNION ALL SELECT * FROM bots WHERE awake = 1 AND heartbeat_at BETWEEN 1 AND 7 AND health = 'healthy' " +
    "AND state = 'running' AND incidents = '[]' ORDER BY user_id LIMIT 2000",
  ).all();
  const scans = plan.results.map(({ detail }) => detail).filter((detail) => detail.includes("bots"));
  assert.deepEqual(scans, ["SCAN bots USING INDEX bots_wrong", "SCAN bots USING INDEX bots_wrong", "SEARCH bots USING INDEX bots_awake (heartbeat_at>? AND heartbeat_at<?)"]);
  assert.equal((await worker.record(ALICE)).starts.length, 0);
});
