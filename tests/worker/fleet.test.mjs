// The list of the fleet: what the registry knows, filtered, sorted and in pages.
import test from "node:test";
import assert from "node:assert/strict";
import { ALICE, BOB, startWorker } from "./harness.mjs";
import { until } from "../until.mjs";

const PAGE = 100;
const id = (number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

async function fill(worker, count) {
  const database = await worker.database();
  const insert = database.prepare(
    "INSERT INTO bots (user_id, state, awake, run, since, health, active_at, snapshot_at) VALUES (?, ?, 0, 1, ?, ?, ?, ?)",
  );
  await database.batch(Array.from({ length: count }, (_, i) => insert.bind(
    id(i + 1), i % 2 ? "asleep" : "crash-looped", 1_000 + i, i % 3 ? "unknown" : "unhealthy", i % 7, i % 5 ? 5_000 - i : null,
  )));
}

/** All pages of a list, one after the other. */
async function pages(worker, query) {
  const found = [];
  for (let cursor = ""; cursor !== null;) {
    const page = await worker.asAdmin("GET", `/api/admin/bots?${query}${cursor && `&cursor=${cursor}`}`);
    assert.equal(page.status, 200, JSON.stringify(page));
    assert.ok(page.bots.length <= PAGE);
    found.push(...page.bots);
    cursor = page.next;
  }
  return found;
}

test("the fleet shows what its bots last said, and wakes none", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  await worker.as(BOB, "/api/bot/start", { method: "POST" });
  const fleet = await until(async () => {
    const { bots } = await worker.asAdmin("GET", "/api/admin/bots");
    return bots.some(({ state }) => state === "running") && bots;
  }, "Alice's bot is in the list");
  const [alice] = fleet.filter(({ user_id }) => user_id === ALICE);
  assert.deepEqual(
    { ...alice, since: typeof alice.since, active_at: typeof alice.active_at, healthy_at: typeof alice.healthy_at },
    {
      user_id: ALICE, email: alice.email, state: "running", since: "number", run: 1, health: "healthy", pinned: false, active_at: "number",
      snapshot_at: null, backup_key: null, incidents: [], healthy_at: "number", restarts: [], memory: null, disk: null,
      unsaved_since: null, drill: null,
    },
  );
  assert.deepEqual((await worker.record(BOB)).starts, []);
});

test("a snapshot and an incident reach the list of the fleet", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  const taken = { id: "ab".repeat(32), taken_at: 1_700_000_000_000, reason: "change", amount: { files: 1, bytes: 1 }, added_bytes: 1 };
  const restored = { snapshot: null, restored_at: 10, duration_ms: 1, amount: { files: 0, bytes: 0 }, compared: 0, mismatches: 0 };
  const error = { doing: "snapshot", message: "the disk is full", attempts: 3, failed_at: 5 };
  await worker.fake(ALICE, "set", { backup: { restored, taken: [taken], error } });
  await worker.fake(ALICE, "command", "poll");
  const [bot] = await until(async () => {
    const { bots } = await worker.asAdmin("GET", `/api/admin/bots?search=${ALICE}`);
    return bots[0]?.snapshot_at && bots;
  }, "the registry followed");
  assert.deepEqual([bot.snapshot_at, bot.incidents], [taken.taken_at, ["backup-failing"]]);
});

test("bots that need an older backup key are listed until they have run", async (t) => {
  const [newer, older] = [7, 8].map((byte) => Buffer.alloc(32, byte).toString("base64"));
  const worker = await startWorker(t, { bindings: { BACKUP_KEY: `2:${newer},1:${older}` } });
  await fill(worker, 3);
  await worker.as(ALICE, "/");
  await worker.as(BOB, "/api/bot/start", { method: "POST" });
  const needing = async () => (await pages(worker, "key=older")).map(({ user_id }) => user_id);
  await until(async () => (await needing()).includes(ALICE), "it has run, and nobody knows what opens its repository");
  const restored = { snapshot: null, restored_at: 10, duration_ms: 1, amount: { files: 0, bytes: 0 }, compared: 0, mismatches: 0 };
  await worker.fake(ALICE, "set", { backup: { restored, taken: [] } });
  await worker.fake(ALICE, "command", "poll");
  await until(async () => !(await needing()).includes(ALICE), "the registry followed");
  assert.deepEqual(await needing(), [1, 2, 3].map(id), "one that never ran needs none");
  const [alice] = await pages(worker, `search=${ALICE}`);
  assert.equal(alice.backup_key, 2);
  const wrong = await worker.asAdmin("GET", "/api/admin/bots?key=2");
  assert.equal(wrong.code, "bad-request");
});

test("pages of every order have each bot once, in that order", async (t) => {
  const worker = await startWorker(t);
  const count = 2 * PAGE + 50;
  await fill(worker, count);
  const keys = { user: () => 0, active: (bot) => -bot.active_at, since: (bot) => -bot.since, snapshot: (bot) => -(bot.snapshot_at ?? 0) };
  for (const [sort, key] of Object.entries(keys)) {
    const found = await pages(worker, `sort=${sort}`);
    assert.equal(new Set(found.map(({ user_id }) => user_id)).size, count, sort);
    assert.equal(found.length, count, sort);
    const sorted = found.every((bot, i) => i === 0 || key(found[i - 1]) <= key(bot));
    assert.ok(sorted, `by ${sort}`);
  }
});

test("a list that fills exactly one page has no next one", async (t) => {
  const worker = await startWorker(t);
  await fill(worker, PAGE);
  for (const sort of ["user", "active", "since", "snapshot"]) {
    const { bots, next } = await worker.asAdmin("GET", `/api/admin/bots?sort=${sort}`);
    assert.deepEqual([bots.length, next], [PAGE, null], sort);
  }
  const database = await worker.database();
  const there = async (table) => (await database.prepare(`SELECT count(*) AS n FROM ${table}`).first()).n;
  const user = database.prepare("INSERT INTO users (user_id, created_at, seen_at) VALUES (?, 0, 0)");
  const users = await there("users");
  await database.batch(Array.from({ length: PAGE - users }, (_, i) => user.bind(id(i + 1))));
  const page = await worker.asAdmin("GET", "/api/admin/users");
  assert.deepEqual([page.users.length, page.next], [PAGE, null]);
  const event = database.prepare(`INSERT INTO events (at, user_id, kind, actor) VALUES (${Date.now()}, ?, 'started', 'platform')`);
  await database.batch(Array.from({ length: PAGE }, () => event.bind(id(1))));
  const one = await worker.asAdmin("GET", `/api/admin/bots/${id(1)}/events`);
  assert.deepEqual([one.events.length, one.next], [PAGE, null]);
  await event.bind(id(1)).run();
  const first = await worker.asAdmin("GET", `/api/admin/bots/${id(1)}/events`);
  assert.deepEqual([first.events.length, first.next], [PAGE, first.events.at(-1).id]);
});

test("a cursor of the fleet in another order is refused", async (t) => {
  const worker = await startWorker(t);
  await fill(worker, PAGE + 1);
  const { next } = await worker.asAdmin("GET", "/api/admin/bots");
  assert.equal(next, `user.0.${id(PAGE)}`);
  const { status, code, detail } = await worker.asAdmin("GET", `/api/admin/bots?sort=active&cursor=${next}`);
  assert.deepEqual([status, code], [400, "bad-request"]);
  assert.match(detail, /sort=user: ask with that, or leave the cursor out/);
  assert.equal((await worker.asAdmin("GET", `/api/admin/bots?sort=user&cursor=${next}`)).bots.length, 1);
});

test("the fleet is filtered by state and health and searched by prefix", async (t) => {
  const worker = await startWorker(t);
  await fill(worker, 12);
  const database = await worker.database();
  const user = database.prepare("INSERT INTO users (user_id, email, created_at, seen_at) VALUES (?, ?, 0, 0)");
  await database.batch([user.bind(id(1), "Ann_e@example.org"), user.bind(id(2), "annie@example.org")]);
  const ids = async (query) => (await worker.asAdmin("GET", `/api/admin/bots?${query}`)).bots.map(({ user_id }) => user_id);
  assert.deepEqual(await ids("state=asleep"), [2, 4, 6, 8, 10, 12].map(id));
  assert.deepEqual(await ids("health=unhealthy"), [1, 4, 7, 10].map(id));
  assert.deepEqual(await ids("state=asleep&health=unhealthy"), [4, 10].map(id));
  assert.deepEqual(await ids("search=ann"), [1, 2].map(id));
  assert.deepEqual(await ids("search=ann_"), [id(1)], "an underscore is itself");
  assert.deepEqual(await ids("search=%25"), [], "so is a percent sign");
  assert.deepEqual(await ids(`search=${id(3).slice(0, 36)}`), [id(3)]);
  assert.deepEqual(await ids("search="), Array.from({ length: 12 }, (_, i) => id(i + 1)));
});

test("a query of the fleet that is none is refused with what it takes", async (t) => {
  const worker = await startWorker(t);
  for (const [query, takes] of [["state=Running", "state"], ["health=good", "health"], ["sort=email", "sort"], ["cursor=1", "cursor"], ["limit=5", "search"]]) {
    const { status, code, detail } = await worker.asAdmin("GET", `/api/admin/bots?${query}`);
    assert.deepEqual([status, code], [400, "bad-request"], query);
    assert.match(detail, new RegExp(takes), query);
  }
});
