// Orders to many bots: done once, side by side, followed and stopped; whatever is lost on the way is found again.
import test from "node:test";
import assert from "node:assert/strict";
import { ADMIN_CLAIMS, ALICE, BOB, startWorker } from "./harness.mjs";
import { until } from "../until.mjs";

const ORDERS = "/api/admin/bulk";
const CAROL = "00000000-0000-4000-8000-00000000ca01";
const NONE = { done: 0, skipped: 0, refused: 0, failed: 0, stopped: 0 };

const give = (worker, verb, rest) => worker.asAdmin("POST", ORDERS, { verb, ...rest });
const get = (worker, id, query = "") => worker.asAdmin("GET", `${ORDERS}/${id}${query}`);
const finished = (worker, id) => until(async () => {
  const found = await get(worker, id);
  return found.order?.finished_at && found;
}, `order ${id} is finished`);
const outcomes = ({ bots }) => Object.fromEntries(bots.map(({ user_id, outcome }) => [user_id, outcome]));

/** Alice's bot is awake, Bob's sleeps, and Carol's Sandbox cannot read what it has stored. */
async function start(t, options) {
  const worker = await startWorker(t, options);
  await worker.as(ALICE, "/");
  for (const user of [BOB, CAROL]) await worker.order(user, "pin");
  // A bot that never ran has no row by itself.
  const row = (await worker.database()).prepare("INSERT OR IGNORE INTO bots (user_id, state, awake, run, since, health) VALUES (?, 'asleep', 0, 0, 0, 'unknown')");
  for (const user of [BOB, CAROL]) await row.bind(user).run();
  await until(async () => (await worker.bots()).some(({ user_id, state }) => user_id === ALICE && state === "running"), "Alice's bot is in the registry");
  await worker.fake(CAROL, "sql", "UPDATE life SET record = '{'");
  await worker.fake(CAROL, "evict");
  return worker;
}

test("an order reaches each bot once, and one that fails fails no other", async (t) => {
  const worker = await start(t);
  const dry = await give(worker, "restart", { filter: {}, dryRun: true });
  assert.deepEqual(dry, { status: 202, id: null, bots: 3, first: [CAROL, ALICE, BOB].sort(), unknown: 0 });
  assert.deepEqual((await worker.asAdmin("GET", ORDERS)).orders, [], "nothing was ordered");

  const { id, bots } = await give(worker, "restart", { filter: {} });
  assert.equal(bots, 3);
  const { order, bots: told } = await finished(worker, id);
  assert.deepEqual([order.results, order.left], [{ ...NONE, done: 1, skipped: 1, failed: 1 }, 0]);
  assert.deepEqual(outcomes({ bots: told }), { [ALICE]: "done", [BOB]: "skipped", [CAROL]: "failed" });
  assert.match(told.find(({ user_id }) => user_id === BOB).detail, /sleeps/);
  assert.deepEqual((await get(worker, id, "?outcome=failed")).bots.map(({ user_id }) => user_id), [CAROL]);
  assert.deepEqual((await worker.record(BOB)).starts, [], "what sleeps goes on sleeping");

  const asked = async () => (await worker.asked()).filter(([, command]) => command.bulk).length;
  assert.equal(await asked(), 3);
  // Delivered twice, and late.
  const message = JSON.stringify({ order: { order: id, users: [ALICE, BOB, CAROL] } });
  await worker.queue("moltbot-jobs", [message, message]);
  assert.equal(await asked(), 3);
  assert.deepEqual((await get(worker, id)).order.results, order.results);

  const { events } = await worker.asAdmin("GET", `/api/admin/bots/${ALICE}/events`);
  const ordered = events.filter(({ kind, detail }) => kind === "ordered" && detail?.includes(`order ${id} `));
  assert.deepEqual(ordered.map(({ actor }) => actor), [ADMIN_CLAIMS.sub]);
  const trail = (await worker.asAdmin("GET", "/api/admin/events")).events.filter(({ action }) => action === "admin-order-bots");
  // The first call of an admin says as well who that is.
  assert.deepEqual(trail.map(({ detail }) => detail).slice(0, 2), ["restart: every bot (3)", "restart: every bot (3), only to see how many"]);
});

test("without a queue, and after a tick that broke off, cron carries it out", async (t) => {
  const worker = await start(t, { without: ["JOBS"] });
  const { id, unknown } = await give(worker, "suspend", { users: [ALICE, BOB, "00000000-0000-4000-8000-0000000000ff"] });
  assert.equal(unknown, 1);
  const database = await worker.database();
  // As a tick leaves them that ended after it had taken them, and a try of Bob's that never came to its end.
  await database.prepare("UPDATE bulk_bots SET queued_at = ?1").bind(Date.now()).run();
  await database.prepare("UPDATE bulk_bots SET claimed_at = ?1, first_claimed_at = ?1, tries = 1 WHERE user_id = ?2").bind(Date.now(), BOB).run();
  await worker.cron();
  assert.equal((await get(worker, id)).order.left, 2, "they may be under way");
  await worker.ahead(11 * 60_000);
  await worker.cron();
  assert.deepEqual((await finished(worker, id)).order.results, { ...NONE, done: 2 });
  assert.deepEqual((await Promise.all([ALICE, BOB].map((user) => worker.status(user)))).map(({ state }) => state === "suspended" || state === "stopping"), [true, true]);

  // Tried too often: whoever tries it does not live to tell.
  const again = await give(worker, "resume", { users: [BOB] });
  await database.prepare("UPDATE bulk_bots SET tries = 3, claimed_at = 1 WHERE order_id = ?").bind(again.id).run();
  await worker.cron();
  assert.deepEqual((await finished(worker, again.id)).order.results, { ...NONE, failed: 1 });
});

test("a stopped order orders nobody whose turn has not come", async (t) => {
  const worker = await start(t, { without: ["JOBS"] });
  const { id } = await give(worker, "stop", { filter: { search: ALICE } });
  const stopped = await worker.asAdmin("POST", `${ORDERS}/${id}/stop`);
  assert.deepEqual([stopped.results, stopped.stopped_by], [{ ...NONE, stopped: 1 }, ADMIN_CLAIMS.sub]);
  assert.ok(stopped.finished_at);
  await worker.cron();
  assert.equal((await worker.status(ALICE)).state, "running");
  assert.equal((await worker.asAdmin("POST", `${ORDERS}/${id + 1}/stop`)).status, 404);
  for (const wrong of [{}, { filter: {}, users: [ALICE] }, { filter: { state: "happy" } }, { users: [] }, { filter: { search: "nobody@" } }]) {
    assert.equal((await give(worker, "stop", wrong)).code, "bad-request", JSON.stringify(wrong));
  }
});
