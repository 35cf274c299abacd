// What is gone, passed over, not saved or lost: told at once, with the reason and the way back, and decided by its owner.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DAY, SNAPSHOTS, backup, bot, call, end, events, report, run, start, starts, taken, told } from "./backups.mjs";
import { PAGE } from "./browser.mjs";
import { ALICE, startWorker } from "./harness.mjs";
import { until } from "../until.mjs";

const [GOOD, LOSSY, LATER] = ["a", "b", "c"].map((digit) => digit.repeat(64));
const LOST = "the gateway's own databases are gone or damaged: .openclaw/state/openclaw.sqlite";

/** Runs Alice's bot, whose bucket has these snapshots, with a supervisor that says this of its backups. */
async function begin(t, ids, change) {
  const { worker } = await start(t, ...ids);
  await run(worker, change);
  return worker;
}

const PASSED_OVER = { restored: report(GOOD, 10, { passed_over: [LOSSY], passed_over_for: LOST }) };

test("an owner is asked about what a start passed over, and may go back", async (t) => {
  const worker = await begin(t, [GOOD, LOSSY], PASSED_OVER);
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
  const worker = await begin(t, [GOOD, LOSSY], PASSED_OVER);
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
  // A snapshot that is ordered with its losses says the same.
  const [other] = [LATER];
  await worker.fake(ALICE, "set", { backup: backup({ restored: report(GOOD, 20, { passed_over: [other, LOSSY] }) }) });
  await worker.fake(ALICE, "command", "poll");
  assert.deepEqual((await bot(worker)).backups.choice.snapshots, [LATER]);
  await call(worker, "POST", SNAPSHOTS, { accept: true });
  assert.equal((await bot(worker)).backups.choice, null);
});

test("the waking page asks before the start is over if the loss is known", async (t) => {
  const worker = await begin(t, [GOOD, LOSSY], { restored: report(GOOD, 10), taken: [taken(LOSSY, 20, { suspicious: LOST })] });
  await told(worker, "snapshot-suspicious");
  await worker.order(ALICE, "sleep");
  await worker.reaches(ALICE, "asleep");
  await worker.fake(ALICE, "set", { phase: "restoring", backup: backup({ restored: null }) });
  const page = await (await worker.as(ALICE, "/", PAGE)).text();
  assert.match(page, /id="choice"><h2>A newer state was passed over/);
  assert.ok(page.includes(LOST.replace("'", "&#39;")) || page.includes(LOST), page);
  assert.ok(page.includes(`{&quot;snapshot&quot;:&quot;${LOSSY}&quot;}`), page);
  assert.deepEqual(await starts(worker), ["latest", "latest"]);
});

test("what an owner deleted is told with the snapshot that has it", async (t) => {
  const lost = { what: "databases are gone or damaged: webapp/dev.sqlite", before: GOOD };
  const worker = await begin(t, [GOOD, LATER], { restored: report(GOOD, 10), taken: [taken(LATER, 20, { lost })] });
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
  const worker = await begin(t, [GOOD], { restored: report(GOOD, 10) });
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
  const worker = await begin(t, [GOOD], { restored: report(GOOD, 10), ...HELD_UP });
  const suspended = await worker.asAdmin("POST", `/api/admin/bots/${ALICE}/suspend`);
  assert.match(suspended.state, /^(stopping|suspended)$/);
});

test("each run that ends without a last snapshot says how much is lost", async (t) => {
  const worker = await begin(t, [GOOD], { restored: report(GOOD, 10), changed: true, unsaved_at_ms: 0 });
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
  const worker = await begin(t, [GOOD], { restored: report(GOOD, 10) });
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
