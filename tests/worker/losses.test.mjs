// What is gone, passed over, not saved or lost: told at once, with the reason and the way back, and decided by its owner.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NAVIGATION, PAGE, signIn } from "./browser.mjs";
import { ALICE, ORIGIN, startWorker } from "./harness.mjs";
import { until } from "../until.mjs";

const SNAPSHOTS = "/api/bot/snapshots";
const [GOOD, LOSSY, LATER] = ["a", "b", "c"].map((digit) => digit.repeat(64));
const DAY = 24 * 60 * 60 * 1_000;
const STOP_DEADLINE_MS = 100_000;
const LOST = "the gateway's own databases are gone or damaged: .openclaw/state/openclaw.sqlite";

const taken = (id, taken_at, change = {}) => ({
  id, taken_at, reason: "change", run: 1, amount: { files: 3, bytes: 400 }, added_bytes: 50, ...change,
});
const report = (snapshot, restored_at, change = {}) => ({
  snapshot, taken_at: 1, restored_at, amount: { files: 3, bytes: 400 }, duration_ms: 5, compared: 6, mismatches: 0, passed_over: [], ...change,
});
const backup = (change = {}) => ({ restored: report(null, 10), taken: [], changed: false, ...change });
const call = (worker, method, path, document) => worker.call({ sub: ALICE }, method, path, document);
const bot = (worker) => call(worker, "GET", "/api/bot");
const events = async (worker, kind) => (await call(worker, "GET", "/api/bot/events")).events.filter((event) => event.kind === kind);
const told = (worker, kind, count = 1) =>
  until(async () => ((await events(worker, kind)).length >= count ? events(worker, kind) : null), `the history has ${kind}`);

/** Ends the container, and looks until that was noticed. */
async function end(worker, how) {
  await worker.fake(ALICE, how);
  await until(async () => (await bot(worker)).state !== "running", "the end was noticed");
}

const starts = async (worker) => (await worker.record(ALICE)).starts.map(({ env }) => env.MOLTBOT_RESTORE);

/** Runs Alice's bot, whose bucket has these snapshots, with a supervisor that says this of its backups. */
async function run(t, ids, change) {
  const worker = await startWorker(t);
  const bucket = await worker.mf.getR2Bucket("BUCKET");
  for (const id of ids) {
    const { uploaded } = await bucket.put(`users/${ALICE}/repo/snapshots/${id}`, "sealed");
    await until(() => Date.now() > uploaded.getTime(), "the clock went on");
  }
  await worker.fake(ALICE, "set", { backup: backup(change) });
  assert.equal((await worker.as(ALICE, "/")).status, 200);
  return worker;
}

const PASSED_OVER = { restored: report(GOOD, 10, { passed_over: [LOSSY], passed_over_for: LOST }) };

test("an owner is asked about what a start passed over, and may go back", async (t) => {
  const worker = await run(t, [GOOD, LOSSY], PASSED_OVER);
  const { choice, passed_over } = (await bot(worker)).backups;
  assert.deepEqual([passed_over, choice.snapshots, choice.total, choice.instead], [[LOSSY], [LOSSY], 1, GOOD]);
  assert.equal(choice.why, LOST);
  assert.ok(choice.kept_until > Date.now() + 29 * DAY);
  const [event] = await told(worker, "passed-over");
  assert.ok(event.detail.startsWith(`${LOSSY} (${LOST}): passed over at this start, which is made from aaaaaaaa.`), event.detail);
  const { snapshots } = await call(worker, "GET", SNAPSHOTS);
  assert.ok(snapshots.find(({ id }) => id === LOSSY).held_until > Date.now() + 29 * DAY, "it is not deleted meanwhile");

  const { backups } = await call(worker, "POST", `${SNAPSHOTS}/restore`, { snapshot: LOSSY });
  assert.deepEqual([backups.choice, backups.restore_wanted], [null, { snapshot: LOSSY }]);
});

test("an owner keeps what there is, awake or asleep, and is not asked again", async (t) => {
  const worker = await run(t, [GOOD, LOSSY], PASSED_OVER);
  await worker.order(ALICE, "sleep");
  await worker.reaches(ALICE, "asleep");
  const kept = await call(worker, "POST", `${SNAPSHOTS}/keep`);
  assert.deepEqual([kept.state, kept.backups.choice], ["asleep", null]);
  const orders = (await events(worker, "ordered")).map(({ detail }) => detail);
  assert.ok(orders.includes("keep what there is"), orders);
  assert.equal((await worker.as(ALICE, "/")).status, 200, "it wakes");
  await told(worker, "restored", 2);
  assert.equal((await bot(worker)).backups.choice, null);
  assert.equal((await events(worker, "passed-over")).length, 1);
  // A snapshot that is ordered with its losses says the same, once it is there.
  const [other] = [LATER];
  await worker.fake(ALICE, "set", { backup: backup({ restored: report(GOOD, 20, { passed_over: [other, LOSSY] }) }) });
  await worker.fake(ALICE, "command", "poll");
  assert.deepEqual((await bot(worker)).backups.choice.snapshots, [LATER]);
  const ordered = await call(worker, "POST", SNAPSHOTS, { accept: true });
  assert.deepEqual(ordered.backups.choice.snapshots, [LATER], "it could not be taken yet");
  const accepted = taken("d".repeat(64), 30, { reason: "manual", accepted: true });
  await worker.fake(ALICE, "set", { backup: backup({ restored: report(GOOD, 20, { passed_over: [other, LOSSY] }), taken: [accepted] }) });
  await worker.fake(ALICE, "command", "poll");
  assert.equal((await bot(worker)).backups.choice, null);
});

test("a question that nobody answers lapses for a bot that stays asleep", async (t) => {
  const worker = await run(t, [GOOD, LOSSY], PASSED_OVER);
  await worker.order(ALICE, "sleep");
  await worker.reaches(ALICE, "asleep");
  const incidents = async () => JSON.parse((await worker.bots())[0].incidents);
  assert.ok((await incidents()).includes("passed-over"));
  const look = async () => JSON.parse((await worker.fake(ALICE, "command", "status")).status).backups.choice;
  await worker.ahead(29 * DAY);
  assert.deepEqual((await look()).snapshots, [LOSSY]);
  await worker.ahead(31 * DAY);
  assert.equal(await look(), null);
  await until(async () => !(await incidents()).includes("passed-over"), "the registry follows");
});

test("a run killed while the next begins is the one that lost changes", async (t) => {
  const worker = await run(t, [GOOD], { restored: report(GOOD, 10) });
  await worker.fake(ALICE, "set", { lingers: true });
  await worker.order(ALICE, "sleep");
  await call(worker, "POST", "/api/bot/restart");
  await worker.ahead(STOP_DEADLINE_MS + 1_000);
  await worker.fake(ALICE, "alarm");
  await until(async () => (await bot(worker)).state === "running", "the next one runs");
  const [lost, ...others] = await told(worker, "changes-lost");
  assert.deepEqual([lost.run, others], [1, []]);
  assert.match(lost.detail, /^whatever was changed in its last \d+ seconds: the run ended without a last snapshot$/);
  assert.deepEqual([(await bot(worker)).run, (await worker.record(ALICE)).kills], [2, 1]);
  // That one ends well, and the kill is not its own.
  await worker.fake(ALICE, "set", { lingers: false });
  await worker.order(ALICE, "sleep");
  await worker.reaches(ALICE, "asleep");
  const { state, failures } = await bot(worker);
  assert.deepEqual([state, failures], ["asleep", 0]);
  assert.equal((await events(worker, "changes-lost")).length, 1);
});

/** Presses a button of one of our pages; where the browser goes on. */
async function press(worker, cookie, path) {
  const answer = await worker.fetch(path, { method: "POST", headers: { cookie, origin: ORIGIN } });
  return [answer.status, answer.headers.get("location")];
}

test("one button puts back what was passed over, and its page follows that", async (t) => {
  const worker = await run(t, [GOOD, LOSSY], PASSED_OVER);
  const { choice_page } = (await bot(worker)).backups;
  const signedOut = await worker.fetch(choice_page, PAGE);
  assert.deepEqual([signedOut.status, signedOut.headers.get("location")], [303, `/login?next=${encodeURIComponent(choice_page)}`]);
  const cookie = await signIn(worker);
  const page = async () => {
    const answer = await worker.fetch(choice_page, { headers: { cookie, ...NAVIGATION } });
    assert.match(answer.headers.get("content-security-policy"), /frame-ancestors 'none'/);
    return [answer.status, await answer.text()];
  };
  const [status, asked] = await page();
  assert.equal(status, 200, "while the bot answers");
  assert.ok(asked.includes(LOST.replaceAll("'", "&#39;")) || asked.includes(LOST), asked);
  assert.match(asked, /<form method="post" action="\/api\/bot\/snapshots\/put-back"><button type="submit"[^>]*>Put back what was there</);

  await worker.fake(ALICE, "set", { after: { "/v1/restore": { phase: "restoring" } } });
  assert.deepEqual(await press(worker, cookie, `${SNAPSHOTS}/put-back`), [303, choice_page]);
  assert.deepEqual(await press(worker, cookie, `${SNAPSHOTS}/put-back`), [303, choice_page], "pressed twice");
  const orders = (await worker.record(ALICE)).bodies.filter(([to]) => to === "/v1/restore").map(([, { snapshot }]) => snapshot);
  assert.deepEqual(orders, [LOSSY], "ordered once");
  const [, followed] = await page();
  assert.match(followed, /data-step="restoring" class="now"/);
  assert.ok(!followed.includes("/put-back"), "it is decided");
  const { snapshots } = await call(worker, "GET", SNAPSHOTS);
  assert.ok(snapshots.every(({ held_until }) => held_until > Date.now() + 29 * DAY), "nothing is deleted");
  await worker.fake(ALICE, "set", { phase: "ready", backup: backup({ restored: report(LOSSY, 20), taken: [taken(LATER, 30)] }) });
  await worker.fake(ALICE, "command", "poll");
  assert.match((await page())[1], /There is nothing to decide/);
  assert.equal((await call(worker, "POST", `${SNAPSHOTS}/put-back`)).code, "nothing-passed-over");
});

test("one button keeps what there is, from the bot's own page alone", async (t) => {
  const worker = await run(t, [GOOD, LOSSY], PASSED_OVER);
  const cookie = await signIn(worker);
  for (const origin of [{}, { origin: "https://evil.example" }]) {
    const refused = await worker.fetch(`${SNAPSHOTS}/keep`, { method: "POST", headers: { cookie, ...origin } });
    assert.equal((await refused.json()).code, "wrong-origin");
  }
  assert.deepEqual((await bot(worker)).backups.choice.snapshots, [LOSSY]);
  assert.deepEqual(await press(worker, cookie, `${SNAPSHOTS}/keep`), [303, "/"]);
  const { choice, choice_page } = (await bot(worker)).backups;
  assert.deepEqual([choice, choice_page], [null, null]);
  const { snapshots } = await call(worker, "GET", SNAPSHOTS);
  assert.ok(snapshots.find(({ id }) => id === LOSSY).held_until > Date.now() + 29 * DAY, "nothing is deleted");
});

test("the waking page asks before the start is over if the loss is known", async (t) => {
  const worker = await run(t, [GOOD, LOSSY], { restored: report(GOOD, 10), taken: [taken(LOSSY, 20, { suspicious: LOST })] });
  await told(worker, "snapshot-suspicious");
  await worker.order(ALICE, "sleep");
  await worker.reaches(ALICE, "asleep");
  await worker.fake(ALICE, "set", { phase: "restoring", backup: backup({ restored: null }) });
  const page = await (await worker.as(ALICE, "/", PAGE)).text();
  assert.match(page, /id="choice"><h2>A newer state was passed over/);
  for (const answer of ["put-back", "keep"]) assert.ok(page.includes(`<form method="post" action="${SNAPSHOTS}/${answer}">`), page);
  assert.ok(page.includes(LOST.replace("'", "&#39;")) || page.includes(LOST), page);
  assert.deepEqual(await starts(worker), ["latest", "latest"]);
});

test("what an owner deleted is told with the snapshot that has it", async (t) => {
  const lost = { what: "databases are gone or damaged: webapp/dev.sqlite", before: GOOD };
  const worker = await run(t, [GOOD, LATER], { restored: report(GOOD, 10), taken: [taken(LATER, 20, { lost })] });
  const [event] = await told(worker, "content-gone");
  assert.equal(event.detail, `cccccccc: ${lost.what}. Restore ${GOOD} to put it back`);
  const [newest] = (await call(worker, "GET", SNAPSHOTS)).snapshots;
  assert.deepEqual([newest.lost, newest.suspicious], [lost, null]);
  assert.equal((await bot(worker)).backups.choice, null);
});

const HELD_UP = {
  under_way: { doing: "snapshot", done: { files: 7, bytes: 8 }, total: null },
  held_up: { since_ms: 0, message: "the repository does not answer" },
  unsaved_at_ms: 0,
};

test("an order that would lose changes is refused, and says why", async (t) => {
  const worker = await run(t, [GOOD], { restored: report(GOOD, 10) });
  await worker.fake(ALICE, "set", { backup: backup({ restored: report(GOOD, 10), ...HELD_UP }) });
  // Nobody polls here: who asks how it is hears how it is.
  await worker.ahead(6_000);
  const status = await bot(worker);
  const { trouble, unsaved_since } = status.backups;
  assert.deepEqual([trouble.doing, trouble.reason, trouble.held_up], ["snapshot", "the repository does not answer", true]);
  assert.ok(Math.abs(unsaved_since - Date.now()) < DAY && trouble.since >= unsaved_since);
  assert.deepEqual(status.under_way.done, { files: 7, bytes: 8 });

  for (const order of ["sleep", "stop"]) {
    const refused = await call(worker, "POST", `/api/bot/${order}`);
    assert.deepEqual([refused.status, refused.code], [409, "unsaved-changes"], order);
    assert.equal(refused.detail, "the snapshot of it is held up: the repository does not answer");
    const byAdmin = await worker.asAdmin("POST", `/api/admin/bots/${ALICE}/${order}`);
    assert.equal(byAdmin.code, "unsaved-changes", order);
  }
  assert.equal((await bot(worker)).state, "running");
  assert.equal((await call(worker, "POST", "/api/bot/stop", { force: false })).code, "unsaved-changes");
  assert.equal((await call(worker, "POST", "/api/bot/stop", { forced: true })).code, "bad-request");
  assert.equal((await call(worker, "POST", "/api/bot/pin", { force: true })).code, "bad-request", "nothing is lost by that");
  const stopped = await call(worker, "POST", "/api/bot/stop", { force: true });
  assert.match(stopped.state, /^stop/);
  assert.equal((await events(worker, "ordered")).filter(({ detail }) => detail === "stop, whatever is lost").length, 1);
});

test("an admin's suspension waits for no snapshot", async (t) => {
  const worker = await run(t, [GOOD], { restored: report(GOOD, 10), ...HELD_UP });
  const suspended = await worker.asAdmin("POST", `/api/admin/bots/${ALICE}/suspend`);
  assert.match(suspended.state, /^(stopping|suspended)$/);
});

test("each run that ends without a last snapshot says how much is lost", async (t) => {
  const worker = await run(t, [GOOD], { restored: report(GOOD, 10), changed: true, unsaved_at_ms: 0 });
  await end(worker, "die");
  const [known] = await told(worker, "changes-lost");
  assert.match(known.detail, /^at most \d+ seconds of changes: the run ended before they were saved$/);
  await worker.fake(ALICE, "set", { backup: backup({ restored: report(GOOD, 20) }) });
  await until(async () => (await worker.as(ALICE, "/")).status === 200, "it runs again");
  await end(worker, "die");
  const [unknown] = await told(worker, "changes-lost", 2);
  assert.match(unknown.detail, /^whatever was changed in its last \d+ seconds: the run ended without a last snapshot$/);
});

test("a container that others stop well is no failure and loses nothing", async (t) => {
  const worker = await run(t, [GOOD], { restored: report(GOOD, 10) });
  for (let round = 1; round <= 6; round += 1) {
    assert.equal((await worker.as(ALICE, "/")).status, 200);
    await end(worker, "shut-down");
    await told(worker, "shut-down", round);
    const { state, failures } = await bot(worker);
    assert.deepEqual([state, failures], ["asleep", 0]);
  }
  assert.deepEqual([await events(worker, "changes-lost"), await events(worker, "died")], [[], []]);
});

test("a list of many snapshots comes in pages", async (t) => {
  const worker = await startWorker(t);
  const bucket = await worker.mf.getR2Bucket("BUCKET");
  const ids = Array.from({ length: 230 }, (_, number) => number.toString(16).padStart(64, "0"));
  for (const id of ids) await bucket.put(`users/${ALICE}/repo/snapshots/${id}`, "sealed");
  const seen = [];
  for (let query = ""; query !== null; ) {
    const { snapshots, total, next } = await call(worker, "GET", `${SNAPSHOTS}${query}`);
    assert.ok(snapshots.length <= 100 && total === ids.length);
    seen.push(...snapshots.map(({ id }) => id));
    query = next && `?after=${next}`;
  }
  assert.deepEqual(seen.toSorted(), ids);
  assert.equal((await call(worker, "GET", `${SNAPSHOTS}?after=x`)).code, "bad-request");
});
