// What owners and admins do with snapshots, and what the Sandbox does about them by itself. The bucket is real; what the
// supervisor would say of its repository is the fake container's.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DAY, SNAPSHOTS, backup, call, end, report, run, start, starts, store, taken, told } from "./backups.mjs";
import { Browser, signIn } from "./browser.mjs";
import { ADMIN, ALICE, BOB, ORIGIN } from "./harness.mjs";
import { until } from "../until.mjs";

const [OLD, NEW, LAST, AFTER, LOSSY] = ["a", "b", "c", "d", "e"].map((digit) => digit.repeat(64));

/** Has the Sandbox ask its supervisor now. */
const observe = (worker) => worker.fake(ALICE, "command", "poll");
const bodies = async (worker, path) => (await worker.record(ALICE)).bodies.filter(([to]) => to === path).map(([, body]) => body);

/** A token of Alice's first run that only adds, just minted. */
function assertFresh(token) {
  assert.match(token, new RegExp(`^mr1\\.1\\.${ALICE}\\.1\\.append\\.\\d+\\.`));
  assert.ok(Number(token.split(".")[5]) - Date.now() > 59 * 60_000);
}

/** The newest event of this kind, once there is one. */
const newestEvent = async (worker, kind) => (await told(worker, kind))[0];

test("snapshots are listed from the bucket without waking a bot", async (t) => {
  const { worker, bucket } = await start(t, OLD, NEW);
  const unknown = await call(worker, "GET", SNAPSHOTS);
  assert.deepEqual(unknown.snapshots.map(({ id }) => id), [NEW, OLD], "the newest first");
  assert.equal(unknown.snapshots[0].taken_at, undefined, "what is in it nobody can know");
  assert.deepEqual(await starts(worker), []);

  await worker.fake(ALICE, "set", { snapshots: [taken(NEW, 20, { reason: "stop" }), taken(OLD, 10)] });
  await run(worker, { restored: report(NEW, 30) });
  const [newest, older] = (await call(worker, "GET", SNAPSHOTS)).snapshots;
  assert.deepEqual([newest.reason, newest.files, newest.bytes, newest.added_bytes], ["stop", 3, 400, 50]);
  assert.ok(newest.verified_at > 0, "its restore was compared, byte by byte");
  assert.deepEqual([older.reason, older.verified_at], ["change", null]);

  await worker.order(ALICE, "sleep");
  await store(bucket, LAST);
  const asleep = (await call(worker, "GET", SNAPSHOTS)).snapshots;
  assert.deepEqual(asleep.map(({ id, reason }) => [id, reason]), [[LAST, undefined], [NEW, "stop"], [OLD, "change"]]);
  assert.equal((await starts(worker)).length, 1, "nobody was woken");
});

test("a requested snapshot is taken if the bot is awake", async (t) => {
  const { worker } = await start(t);
  const asleep = await call(worker, "POST", SNAPSHOTS);
  assert.deepEqual([asleep.status, asleep.code], [409, "bot-asleep"]);
  await run(worker);
  await worker.fake(ALICE, "set", { refusal: { status: 503, code: "not-restored", detail: "not yet" } });
  const early = await call(worker, "POST", SNAPSHOTS);
  assert.deepEqual([early.status, early.code, early.detail], [503, "not-restored", "not yet"]);
  await worker.fake(ALICE, "set", { refusal: null, listens: false });
  assert.equal((await call(worker, "POST", SNAPSHOTS)).code, "bot-waking");
  await worker.fake(ALICE, "set", { listens: true });
  assert.equal((await call(worker, "POST", SNAPSHOTS)).run, 1);
  assert.equal((await call(worker, "POST", SNAPSHOTS, { accept: true })).run, 1);
  const orders = await bodies(worker, "/v1/snapshot");
  assert.deepEqual(orders.map(({ token, ...order }) => order), [false, false, true].map((accept) => ({ reason: "manual", accept })));
  for (const { token } of orders) assertFresh(token);
  assert.equal((await newestEvent(worker, "ordered")).detail, "take snapshot, whatever is gone");
});

test("an ordered restore is repeated across runs until it is saved", async (t) => {
  const { worker, bucket } = await start(t, OLD, NEW);
  await run(worker, { restored: report(NEW, 10), taken: [taken(NEW, 5)] });
  await worker.fake(ALICE, "set", { after: { "/v1/restore": { phase: "restarting" } } });
  assert.equal((await call(worker, "POST", `${SNAPSHOTS}/restore`, { snapshot: OLD })).state, "unhealthy");
  const [{ token, ...order }, ...others] = await bodies(worker, "/v1/restore");
  assert.deepEqual([order, others], [{ snapshot: OLD }, []]);
  assertFresh(token);
  const held = (await call(worker, "GET", SNAPSHOTS)).snapshots.find(({ id }) => id === NEW);
  assert.ok(held.held_until > Date.now() + 29 * DAY, "what there was stays within reach");

  await worker.fake(ALICE, "set", { after: {}, phase: "restoring" });
  await worker.fake(ALICE, "alarm");
  assert.equal((await call(worker, "GET", "/api/bot")).state, "restoring");
  const before = taken(LAST, 15, { reason: "before-restore" });
  await worker.fake(ALICE, "set", { phase: "ready", backup: backup({ restored: report(OLD, 20), taken: [taken(NEW, 5), before] }) });
  await store(bucket, LAST);
  await worker.fake(ALICE, "alarm");
  const saved = (await call(worker, "GET", SNAPSHOTS)).snapshots[0];
  assert.deepEqual([saved.id, saved.held_until > Date.now() + 29 * DAY], [LAST, true], "what was not saved yet as well");
  const running = await call(worker, "GET", "/api/bot");
  assert.deepEqual([running.state, running.backups.restore_wanted], ["running", { snapshot: OLD }]);
  assert.match((await newestEvent(worker, "restored")).detail, /^aaaaaaaa: 3 files, 400 bytes, 6 compared, 0 differ$/);

  // The run is lost before it could save what was restored: the next one does not bring back what was before.
  const again = async () => {
    await end(worker, "die");
    await call(worker, "POST", "/api/bot/restart");
    await until(async () => (await call(worker, "GET", "/api/bot")).state === "running", "it runs again");
  };
  await again();
  assert.deepEqual(await starts(worker), ["latest", OLD]);
  // Nor does one that saved it with a loss: `latest` would pass that over.
  const lossy = taken(LOSSY, 35, { suspicious: "databases are gone or damaged: x" });
  await worker.fake(ALICE, "set", { backup: backup({ restored: report(OLD, 25), taken: [lossy] }) });
  await store(bucket, LOSSY);
  await observe(worker);
  await again();
  assert.deepEqual(await starts(worker), ["latest", OLD, OLD]);
  await worker.fake(ALICE, "set", { backup: backup({ restored: report(OLD, 30), taken: [taken(AFTER, 40)] }) });
  await store(bucket, AFTER);
  await observe(worker);
  await again();
  assert.deepEqual(await starts(worker), ["latest", OLD, OLD, "latest"]);
});

test("an ordered restore clears what each browser keeps of the bot's host", async (t) => {
  const { worker } = await start(t, OLD, NEW);
  const CLAW = "claw.example.org";
  await worker.giveDomain(ALICE, CLAW);
  await run(worker, { restored: report(NEW, 10), taken: [taken(NEW, 5)] });
  const browsers = [new Browser(worker), new Browser(worker)];
  const cleared = async (browser, url = `https://${CLAW}/`) => (await browser.open(url)).answer.headers.get("clear-site-data");
  for (const browser of browsers) {
    await browser.signIn(ORIGIN);
    assert.equal(await cleared(browser), null, "a bot that sleeps and wakes is restored too, and nothing is lost by it");
  }
  await worker.fake(ALICE, "set", { after: { "/v1/restore": { phase: "restarting" } } });
  await call(worker, "POST", `${SNAPSHOTS}/restore`, { snapshot: OLD });
  await worker.fake(ALICE, "set", { after: {}, phase: "ready", backup: backup({ restored: report(OLD, 20), taken: [taken(NEW, 5)] }) });
  await worker.fake(ALICE, "alarm");
  assert.equal((await call(worker, "GET", "/api/bot")).state, "running");

  for (const browser of browsers) {
    assert.equal(await cleared(browser), '"storage"');
    assert.equal(await cleared(browser), null, "once");
    assert.equal(await cleared(browser, `${ORIGIN}/`), null, "what is kept of the platform's host is not the bot's");
  }
  const program = await worker.fetch("/", { host: CLAW, headers: worker.bearer(ALICE) });
  assert.deepEqual([program.status, program.headers.get("clear-site-data"), program.headers.get("x-moltbot-restored")], [200, null, null]);
  const socket = await worker.socket(ALICE, "/ws", `https://${CLAW}`, CLAW);
  assert.equal(typeof socket, "object", `refused with ${socket}`);
  socket.close();
});

test("a missing newest snapshot blocks the start until a restore is ordered", async (t) => {
  const { worker, bucket } = await start(t, OLD, NEW);
  await run(worker, { restored: report(OLD, 10), taken: [taken(NEW, 20)] });
  await observe(worker);
  await worker.order(ALICE, "sleep");
  await until(async () => (await call(worker, "GET", "/api/bot")).state === "asleep", "it sleeps");
  await bucket.delete(`users/${ALICE}/repo/snapshots/${NEW}`);
  const refused = await call(worker, "GET", "/");
  assert.deepEqual([refused.status, refused.code], [503, "bot-failed"]);
  assert.match(refused.detail, new RegExp(`the newest snapshot, ${NEW}, is not in the storage`));
  assert.match((await newestEvent(worker, "start-failed")).detail, new RegExp(NEW));
  await call(worker, "POST", `${SNAPSHOTS}/restore`);
  assert.equal((await starts(worker)).length, 1, "`latest` is another one now");
  await call(worker, "POST", `${SNAPSHOTS}/restore`, { accept: true });
  await until(async () => (await call(worker, "GET", "/api/bot")).state === "running", "it runs");
  assert.deepEqual(await starts(worker), ["latest", "latest"]);
});

test("a restore wakes a sleeping bot and not a stopped one", async (t) => {
  const { worker } = await start(t, OLD, NEW);
  await worker.fake(ALICE, "set", { backup: backup({ restored: report(OLD, 20) }) });
  await worker.order(ALICE, "stop");
  const stopped = await call(worker, "POST", `${SNAPSHOTS}/restore`, { snapshot: OLD });
  assert.deepEqual([stopped.state, await starts(worker)], ["stopped", []]);
  assert.deepEqual(stopped.backups.restore_wanted, { snapshot: OLD }, "it waits for the next start");
  await worker.order(ALICE, "start");
  await call(worker, "POST", `${SNAPSHOTS}/restore`, {});
  await until(async () => (await call(worker, "GET", "/api/bot")).state === "running", "it runs");
  assert.deepEqual(await starts(worker), ["latest"], "the later order counts");
  await worker.order(ALICE, "sleep");
  await call(worker, "POST", `${SNAPSHOTS}/restore`, { snapshot: OLD });
  await until(async () => (await starts(worker)).length === 2, "it was woken");
  assert.deepEqual((await starts(worker))[1], OLD);
});

test("only existing snapshots of the caller can be restored, pinned or read", async (t) => {
  const { worker } = await start(t, OLD);
  await run(worker);
  for (const [method, path, document, status, code] of [
    ["POST", "/restore", { snapshot: NEW }, 404, "no-such-snapshot"],
    ["POST", "/restore", { snapshot: "latest" }, 400, "bad-request"],
    ["POST", "/restore", { snapshots: null }, 400, "bad-request"],
    ["POST", "/pin", {}, 400, "bad-request"],
    ["POST", "/pin", { snapshot: NEW }, 404, "no-such-snapshot"],
    ["GET", "/files", undefined, 400, "bad-request"],
    ["GET", `/files?snapshot=${NEW}`, undefined, 404, "no-such-snapshot"],
    ["GET", `/file?snapshot=../../x&path=y`, undefined, 400, "bad-request"],
    ["GET", `/file?snapshot=${OLD}&user=${BOB}`, undefined, 400, "bad-request"],
  ]) {
    const answer = await call(worker, method, SNAPSHOTS + path, document);
    assert.deepEqual([answer.status, answer.code], [status, code], `${method} ${path}`);
  }
  assert.deepEqual((await worker.call({ sub: BOB }, "GET", SNAPSHOTS)).snapshots, []);
  assert.equal((await worker.call({ sub: BOB }, "POST", `${SNAPSHOTS}/pin`, { snapshot: OLD })).code, "no-such-snapshot");
  assert.equal((await worker.call({ sub: BOB }, "GET", `/api/admin/bots/${ALICE}/snapshots`)).code, "not-an-admin");

  // A bot's page could use its owner's cookie: that looks, and changes nothing.
  const cookie = await signIn(worker);
  assert.equal((await worker.fetch(SNAPSHOTS, { headers: { cookie } })).status, 200);
  const ordered = await worker.fetch(`${SNAPSHOTS}/restore`, { method: "POST", headers: { cookie } });
  assert.equal((await ordered.json()).code, "bearer-required");
  assert.deepEqual((await worker.record(ALICE)).bodies, []);
});

test("a snapshot can be browsed, and its files are served as attachments", async (t) => {
  const { worker } = await start(t, OLD);
  const file = (path) => worker.as(ALICE, `${SNAPSHOTS}/file?snapshot=${OLD}&path=${encodeURIComponent(path)}`);
  assert.equal((await (await file("a")).json()).code, "bot-asleep");
  await run(worker);
  const path = "notes/ü + & b.html";
  await worker.fake(ALICE, "set", { files: { [path]: "<script>alert(1)</script>" } });
  const answer = await file(path);
  assert.equal(await answer.text(), "<script>alert(1)</script>");
  const header = (name) => answer.headers.get(name);
  assert.deepEqual(
    ["content-type", "content-disposition", "x-content-type-options", "content-length"].map(header),
    ["application/octet-stream", "attachment; filename=\"_ _ _ b.html\"; filename*=UTF-8''%C3%BC%20%2B%20%26%20b.html", "nosniff", "25"],
  );
  assert.match(header("content-security-policy"), /default-src 'none'/);
  const missing = await file("gone");
  const problem = await missing.json();
  assert.deepEqual([missing.status, problem.code, problem.detail], [404, "no-such-path", "the snapshot has nothing of that name"]);
  const browsed = await worker.as(ALICE, `${SNAPSHOTS}/files?snapshot=${OLD}&path=notes`);
  assert.deepEqual((await browsed.json())[0].name, "in notes");
});

test("part of a file is served by its range, and HEAD says how long it is", async (t) => {
  const { worker } = await start(t, OLD);
  await run(worker);
  await worker.fake(ALICE, "set", { files: { "a b": "0123456789" } });
  const ask = (headers = {}, method = "GET") =>
    worker.fetch(`${SNAPSHOTS}/file?snapshot=${OLD}&path=a+b`, { method, headers: { ...worker.bearer(ALICE), ...headers } });
  const said = (answer) => ["content-range", "content-length", "accept-ranges", "etag"].map((name) => answer.headers.get(name));
  const tag = `"${"e".repeat(64)}"`;
  const some = await ask({ range: "bytes=2-4", "if-range": tag });
  assert.deepEqual([some.status, await some.text(), ...said(some)], [206, "234", "bytes 2-4/10", "3", "bytes", tag]);
  const changed = await ask({ range: "bytes=2-4", "if-range": '"other"' });
  assert.deepEqual([changed.status, await changed.text(), ...said(changed)], [200, "0123456789", null, "10", "bytes", tag]);
  const beyond = await ask({ range: "bytes=10-12" });
  assert.deepEqual([beyond.status, (await beyond.json()).code, beyond.headers.get("content-range")], [416, "bad-range", "bytes */10"]);
  const head = await ask({ range: "bytes=2-4" }, "HEAD");
  assert.deepEqual([head.status, await head.text(), ...said(head)], [200, "", null, "10", "bytes", tag]);
  assert.match(head.headers.get("content-disposition"), /^attachment; filename="a b"/);
});

test("a name that is not UTF-8 reaches the bot's container as it is", async (t) => {
  const { worker } = await start(t, OLD);
  await run(worker);
  await worker.fake(ALICE, "set", { files: { "caf%E9/%25%FF": "found" } });
  const file = (path) => worker.as(ALICE, `${SNAPSHOTS}/file?snapshot=${OLD}&path=${path}`);
  const found = await file("caf%e9%2f%25%FF");
  assert.deepEqual([found.status, await found.text()], [200, "found"]);
  assert.match(found.headers.get("content-disposition"), /filename="__"; filename\*=UTF-8''%25%EF%BF%BD$/);
  const bad = await file("a%zz");
  assert.deepEqual([bad.status, (await bad.json()).code], [400, "bad-request"]);
  const { orders } = await worker.record(ALICE);
  assert.ok(orders.some((order) => order.endsWith(`/${OLD}/file?path=caf%E9/%25%FF`)), orders);
});

test("a directory is served as a tar; one that breaks off is no whole answer", async (t) => {
  const { worker } = await start(t, OLD);
  await run(worker);
  await worker.fake(ALICE, "set", { files: { notes: "whole", other: "broken" } });
  const archive = (path) => worker.as(ALICE, `${SNAPSHOTS}/archive?snapshot=${OLD}&path=${path}`);
  const whole = await archive("notes");
  assert.deepEqual([whole.status, await whole.text()], [200, "whole"]);
  assert.deepEqual(
    ["content-type", "content-disposition", "x-content-type-options"].map((name) => whole.headers.get(name)),
    ["application/octet-stream", "attachment; filename=\"notes.tar\"; filename*=UTF-8''notes.tar", "nosniff"],
  );
  await assert.rejects(async () => (await archive("other")).text());
  assert.equal((await (await archive("gone")).json()).code, "no-such-path");
});

test("an admin manages a user's snapshots and the history records it", async (t) => {
  const { worker } = await start(t, OLD);
  await run(worker);
  await worker.fake(ALICE, "set", { files: { "a.md": "a" } });
  const base = `/api/admin/bots/${ALICE}/snapshots`;
  assert.equal((await worker.asAdmin("GET", base)).snapshots[0].id, OLD);
  await worker.asAdmin("GET", `${base}/files?snapshot=${OLD}`);
  await worker.asAdmin("POST", base, { accept: true });
  await worker.asAdmin("POST", `${base}/pin`, { snapshot: OLD });
  const { events } = await worker.asAdmin("GET", `/api/admin/bots/${ALICE}/events`);
  const byAdmin = events.filter(({ actor }) => actor === ADMIN).map(({ kind, detail }) => [kind, detail]);
  assert.deepEqual(byAdmin, [
    ["ordered", `pin snapshot ${OLD}`],
    ["ordered", "take snapshot, whatever is gone"],
    ["inspected", `browse snapshot ${OLD}`],
    ["inspected", "list snapshots"],
  ]);
});

test("maintenance runs itself, keeps pinned snapshots, stores its results", async (t) => {
  const { worker, bucket } = await start(t, LAST, OLD, NEW);
  await run(worker, { restored: report(OLD, 10), taken: [taken(NEW, 20)] });
  await worker.fake(ALICE, "set", { readyForMs: DAY });
  await call(worker, "POST", `${SNAPSHOTS}/pin`, { snapshot: NEW });
  await call(worker, "POST", `${SNAPSHOTS}/pin`, { snapshot: NEW });
  await observe(worker);
  assert.deepEqual(await bodies(worker, "/v1/maintain"), [], "not on its first day");

  const yesterday = Date.now() - DAY;
  await worker.fake(ALICE, "sql", `UPDATE ledger SET record = json_set(record, '$.maintenance.begun_at', ${yesterday})`);
  await observe(worker);
  const [{ token, now, ...order }] = await bodies(worker, "/v1/maintain");
  assert.ok(Math.abs(Date.now() - now) < DAY, "the Worker's clock says what is old");
  assert.deepEqual(order, { pinned: [NEW], verified: OLD, part: 1, parts: 7, drill: true });
  const remove = (id) => worker.fetch(`/_repo/${ALICE}/snapshots/${id}`, { method: "DELETE", headers: { authorization: `Bearer ${token}` } });
  await observe(worker);
  assert.equal((await bodies(worker, "/v1/maintain")).length, 1, "it was asked for");

  // Somebody pins one that the order does not name: what decides is what is held when it is to go.
  await call(worker, "POST", `${SNAPSHOTS}/pin`, { snapshot: LAST });
  for (const [id, why] of [[NEW, "pinned"], [OLD, "proven"], [LAST, "pinned meanwhile"]]) {
    const refused = await remove(id);
    assert.deepEqual([refused.status, (await refused.json()).code], [403, "deletion-refused"], why);
  }
  await call(worker, "POST", `${SNAPSHOTS}/unpin`, { snapshot: LAST });
  assert.equal((await remove(LAST)).status, 200, "the token may delete");
  const maintained = { finished_at: 50, duration_ms: 1, forgotten: [LAST], kept: 1, pruned_bytes: 2, checked_bytes: 3, problems: [], drill: report(NEW, 40) };
  await worker.fake(ALICE, "set", { backup: backup({ restored: report(OLD, 10), taken: [taken(NEW, 20)], maintained }) });
  await observe(worker);
  assert.match((await newestEvent(worker, "maintained")).detail, /^1 snapshots forgotten, 1 kept, 2 bytes freed, 3 bytes read back; restored into scratch: bbbbbbbb/);
  const [left, ...others] = (await call(worker, "GET", SNAPSHOTS)).snapshots;
  assert.deepEqual([left.id, left.pinned, others.map(({ id }) => id)], [NEW, true, [OLD]]);
  assert.ok(left.verified_at > yesterday);
  const [unpinned] = (await call(worker, "POST", `${SNAPSHOTS}/unpin`, { snapshot: NEW })).snapshots;
  assert.equal(unpinned.pinned, false);

  const problems = ["pack x is damaged"];
  await worker.fake(ALICE, "set", { backup: backup({ maintained: { ...maintained, finished_at: 60, problems } }) });
  await observe(worker);
  assert.equal((await newestEvent(worker, "repository-damaged")).detail, "pack x is damaged");
  assert.deepEqual((await call(worker, "GET", "/api/bot")).backups.problems, problems);
  assert.ok(await bucket.head(`users/${ALICE}/repo/snapshots/${NEW}`));
});

test("nothing is ordered by a status that could not be stored", async (t) => {
  const { worker } = await start(t, OLD, NEW);
  await run(worker, { restored: report(OLD, 10), taken: [taken(NEW, 20)] });
  await worker.fake(ALICE, "set", { readyForMs: DAY });
  await observe(worker);
  await worker.fake(ALICE, "sql", `UPDATE ledger SET record = json_set(record, '$.maintenance.begun_at', ${Date.now() - DAY})`);
  await worker.fake(ALICE, "sql", "CREATE TRIGGER full BEFORE INSERT ON ledger BEGIN SELECT raise(ABORT, 'no room'); END");
  await worker.fake(ALICE, "set", { backup: backup({ restored: report(OLD, 10), taken: [taken(NEW, 20), taken(LAST, 30)] }) });
  await observe(worker);
  assert.deepEqual(await bodies(worker, "/v1/maintain"), []);
  await worker.fake(ALICE, "sql", "DROP TRIGGER full");
  await observe(worker);
  assert.equal((await bodies(worker, "/v1/maintain")).length, 1);
});

test("backup failures and data lost with a run are reported", async (t) => {
  const { worker, bucket } = await start(t, OLD);
  const suspicious = "databases are gone or damaged: x";
  await run(worker, { restored: report(OLD, 10), taken: [taken(NEW, 20, { suspicious })], changed: true });
  await observe(worker);
  assert.equal((await newestEvent(worker, "snapshot-suspicious")).detail, `bbbbbbbb: ${suspicious}`);

  const long = Date.now() - 10 * 60_000;
  await worker.fake(ALICE, "sql", `UPDATE ledger SET record = json_set(record, '$.unsaved_since', ${long})`);
  await worker.order(ALICE, "unpin");
  await told(worker, "backup-overdue");
  assert.deepEqual(await bodies(worker, "/v1/snapshot"), [], "who only asks how it is orders nothing");
  await observe(worker);
  const [{ token, ...order }, ...others] = await bodies(worker, "/v1/snapshot");
  assert.deepEqual([order, others], [{ reason: "change", accept: false }, []]);
  assertFresh(token);
  assert.equal((await worker.fetch(`/_repo/${ALICE}/data/`, { headers: { authorization: `Bearer ${token}` } })).status, 200);
  assert.equal((await call(worker, "GET", "/api/bot")).backups.overdue, true);

  const saved = taken(LAST, 30);
  await worker.fake(ALICE, "set", { backup: backup({ restored: report(OLD, 10), taken: [saved], changed: true }) });
  await observe(worker);
  await told(worker, "backup-resumed");
  for (const id of [NEW, LAST]) await store(bucket, id);
  await worker.fake(ALICE, "sql", "UPDATE ledger SET record = json_set(record, '$.unsaved_since', unixepoch() * 1000 + 60000)");
  await end(worker, "die");
  await told(worker, "changes-lost");
  const { backups } = await call(worker, "GET", "/api/bot");
  assert.deepEqual([backups.newest.id, backups.unsaved_since], [LAST, null]);
});

test("data lost with a run is reported even if its exit was not observed", async (t) => {
  const { worker } = await start(t, OLD);
  await run(worker, { restored: report(OLD, 10), changed: true });
  await observe(worker);
  await worker.fake(ALICE, "evict");
  await worker.fake(ALICE, "die");
  assert.equal((await call(worker, "GET", "/api/bot")).state, "asleep");
  await told(worker, "changes-lost");
});

test("an ordered restore survives an eviction of the Sandbox", async (t) => {
  const { worker } = await start(t, OLD);
  await worker.order(ALICE, "stop");
  await call(worker, "POST", `${SNAPSHOTS}/restore`, { snapshot: OLD });
  await worker.fake(ALICE, "evict");
  await worker.order(ALICE, "start");
  await worker.fake(ALICE, "set", { backup: backup({ restored: report(OLD, 20) }) });
  assert.equal((await worker.as(ALICE, "/")).status, 200);
  assert.deepEqual(await starts(worker), [OLD]);
});

test("pins and holds survive the loss of what the Sandbox had stored", async (t) => {
  const { worker, bucket } = await start(t, OLD, NEW, LAST);
  await run(worker, { restored: report(LAST, 10), taken: [taken(LAST, 5)] });
  await call(worker, "POST", `${SNAPSHOTS}/pin`, { snapshot: OLD });
  await call(worker, "POST", `${SNAPSHOTS}/pin`, { snapshot: NEW });
  await call(worker, "POST", `${SNAPSHOTS}/unpin`, { snapshot: NEW });
  await call(worker, "POST", `${SNAPSHOTS}/restore`, { snapshot: OLD });
  const held = async () => (await call(worker, "GET", SNAPSHOTS)).snapshots.map(({ id, pinned, held_until }) => [id, pinned, held_until]);
  const before = await held();
  assert.deepEqual(before.map(([id, pinned, until]) => [id, pinned, until !== null]), [[LAST, false, true], [NEW, false, false], [OLD, true, false]]);
  const kept = async () => JSON.parse(await (await bucket.get(`users/${ALICE}/holds.json`))?.text() ?? "[]");
  await until(async () => (await kept()).length === 2, "it is written down");
  await worker.fake(ALICE, "sql", "DELETE FROM life; DELETE FROM ledger; DELETE FROM snapshots; DELETE FROM holds; DELETE FROM run_secret");
  await worker.fake(ALICE, "evict");
  assert.deepEqual(await held(), before);
});

test("the last unpin reaches the bucket although the Sandbox was evicted", async (t) => {
  const { worker, bucket } = await start(t, OLD);
  const kept = async () => (await bucket.get(`users/${ALICE}/holds.json`))?.text();
  await call(worker, "POST", `${SNAPSHOTS}/pin`, { snapshot: OLD });
  await until(async () => (await kept())?.includes(OLD), "the pin is written down");
  await worker.fake(ALICE, "evict");
  await call(worker, "POST", `${SNAPSHOTS}/unpin`, { snapshot: OLD });
  await until(async () => (await kept()) === "[]", "its end is written down");
});
