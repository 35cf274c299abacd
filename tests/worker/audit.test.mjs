// The history around what goes wrong: strangers who ask often, D1 that is away for a moment, changes that fail half-way.
import test from "node:test";
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { until } from "../until.mjs";
import { ADMIN, ALICE, BOB, HOST, OPERATOR_TOKEN, startWorker } from "./harness.mjs";
import { mint } from "./repository.mjs";

/** The events there are, oldest first. */
async function events(worker, where = "1") {
  const database = await worker.database();
  const query = `SELECT kind, actor, user_id, action, status, code, detail FROM events WHERE ${where} ORDER BY id`;
  return (await database.prepare(query).all()).results;
}

const OTHER = "de000000-0000-4000-8000-000000000003";
/** Of thirty refusals that name thirty bots: the first, eight more by name, then how many more, at the first and the tenth. */
const FURTHER = "refusals within a minute that named others:";
const FEW = [...Array(9).fill("somebody"), `${FURTHER} 1`, `${FURTHER} 10`];

/** Whom the refusals of a caller named, or what they said in place of it. */
async function namedBy(actor, worker) {
  const found = await events(worker, `kind = 'refused' AND actor = '${actor}'`);
  return found.map(({ user_id, detail }) => detail ?? (user_id === ALICE ? ALICE : user_id && "somebody"));
}

/** Does something while a table is not there. */
async function without(worker, table, work) {
  const database = await worker.database();
  await database.prepare(`ALTER TABLE ${table} RENAME TO away`).run();
  const done = await work();
  await database.prepare(`ALTER TABLE away RENAME TO ${table}`).run();
  return done;
}

test("a refusal names whom it was about", async (t) => {
  const worker = await startWorker(t);
  for (const user of [ALICE, OTHER, ALICE]) {
    for (const headers of [{}, worker.bearer(BOB)]) await worker.fetch(`/api/admin/bots/${user}/events`, { headers });
  }
  const found = await events(worker, "kind = 'refused'");
  assert.deepEqual(found.map(({ actor, user_id }) => [actor, user_id]), [
    ["anonymous", ALICE], [BOB, ALICE], ["anonymous", OTHER], [BOB, OTHER],
  ]);
});

test("a stranger who names many bots leaves a few events a minute", async (t) => {
  const worker = await startWorker(t);
  for (let i = 0; i < 30; i += 1) {
    const headers = { "cf-connecting-ip": `2001:db8::${i + 1}` };
    const { status } = await worker.fetch(`/api/admin/bots/${randomUUID()}`, { headers });
    assert.equal(status, 401);
  }
  await worker.fetch(`/api/admin/bots/${ALICE}`, { headers: { "cf-connecting-ip": "203.0.113.9" } });
  assert.deepEqual(await namedBy("anonymous", worker), [...FEW, ALICE]);
});

test("a user who names many bots leaves a few events a minute", async (t) => {
  const worker = await startWorker(t);
  for (let i = 0; i < 30; i += 1) {
    const headers = { ...worker.bearer(BOB), "cf-connecting-ip": `2001:db8::${i + 1}` };
    assert.equal((await worker.fetch(`/api/admin/bots/${randomUUID()}`, { headers })).status, 403);
  }
  assert.deepEqual(await namedBy(BOB, worker), FEW);
});

test("a suspended admin is named in the event of their refusal", async (t) => {
  const worker = await startWorker(t);
  await worker.as(BOB, "/api/bot");
  await worker.asAdmin("POST", `/api/admin/users/${BOB}/suspend`);
  const refused = await worker.call({ sub: BOB, app_metadata: { role: "admin" } }, "GET", `/api/admin/bots/${ALICE}`);
  assert.equal(refused.code, "account-suspended");
  const [event] = await events(worker, "kind = 'refused'");
  assert.deepEqual([event.actor, event.user_id, event.code], [BOB, ALICE, "account-suspended"]);
});

test("a look that could not be written does not hide the next one", async (t) => {
  const worker = await startWorker(t);
  const look = () => worker.asAdmin("GET", `/api/admin/bots/${ALICE}`);
  await worker.asAdmin("GET", "/api/admin/users");
  await without(worker, "events", look);
  await look();
  assert.equal((await events(worker, "action = 'admin-get-bot'")).length, 1);
});

test("an account is not suspended while its bot goes on", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  await worker.reaches(ALICE, "running");
  await worker.fake(ALICE, "sql", "ALTER TABLE life RENAME TO away");
  const failed = await worker.asAdmin("POST", `/api/admin/users/${ALICE}/suspend`);
  assert.match(failed.detail, /nothing was changed/);
  const account = await worker.asAdmin("GET", `/api/admin/users/${ALICE}`);
  assert.equal(account.status, "active");
  await worker.fake(ALICE, "sql", "ALTER TABLE away RENAME TO life");
  const suspended = await worker.asAdmin("POST", `/api/admin/users/${ALICE}/suspend`);
  assert.equal(suspended.status, "suspended");
  await until(async () => (await worker.asAdmin("GET", `/api/admin/bots/${ALICE}`)).state === "suspended", "its bot as well");
});

test("an invitation lets its person in after a first attempt that failed", async (t) => {
  const worker = await startWorker(t, { bindings: { SIGN_UP: "invite" } });
  const database = await worker.database();
  const alice = { sub: ALICE, email: "alice@example.com" };
  await worker.asAdmin("POST", "/api/admin/invitations", { entry: "alice@example.com" });
  await database.prepare("CREATE TRIGGER full BEFORE INSERT ON users BEGIN SELECT RAISE(ABORT, 'away'); END").run();
  assert.equal((await worker.call(alice, "GET", "/api/bot")).status, 503);
  await database.prepare("DROP TRIGGER full").run();
  const facts = { address: "203.0.113.9", agent: "a browser", request_id: "a-ray" };
  const headers = { "cf-connecting-ip": facts.address, "user-agent": facts.agent, "cf-ray": facts.request_id };
  const { status } = await worker.fetch("/api/bot", { headers: { authorization: `Bearer ${worker.provider.token(alice)}`, ...headers } });
  assert.equal(status, 200);
  const mallory = { sub: BOB, email: "alice@example.com" };
  assert.equal((await worker.call(mallory, "GET", "/api/bot")).code, "not-invited");
  const query = "SELECT * FROM events WHERE detail LIKE 'became a user%' AND user_id = ?";
  const { results } = await database.prepare(query).bind(ALICE).all();
  assert.deepEqual(results.map(({ kind, actor, detail, action, address, agent, request_id }) => (
    { kind, actor, detail, action, address, agent, request_id }
  )), [{
    kind: "changed", actor: "owner", detail: "became a user by the invitation of alice@example.com",
    action: "get-bot", ...facts,
  }]);
});

test("cron mends a row that D1 missed while a bot fell asleep", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  await worker.reaches(ALICE, "running");
  await until(async () => (await worker.bots())[0]?.state === "running", "the row says so");
  await worker.tick();
  await without(worker, "bots", async () => {
    await worker.order(ALICE, "stop");
    await worker.reaches(ALICE, "stopped");
    await worker.logged("registry-not-written");
  });
  await worker.tick();
  await until(async () => {
    const [row] = await worker.bots();
    return row.state === "stopped" && row.awake === 0 && row.health === "unknown";
  }, "the row is right");
});

test("what an admin does to a bot is no activity of its owner", async (t) => {
  const worker = await startWorker(t);
  await worker.asAdmin("POST", `/api/admin/bots/${ALICE}/suspend`);
  await until(async () => (await worker.bots())[0]?.state === "suspended", "the row is there");
  assert.equal((await worker.bots())[0].active_at, 0);
});

test("the fleet is searched by a text longer than a pattern may be", async (t) => {
  const worker = await startWorker(t);
  const email = `${"a_%".repeat(20)}@example.com`;
  await worker.call({ sub: ALICE, email }, "POST", "/api/bot/stop");
  await until(async () => (await worker.bots()).length === 1, "the row is there");
  const found = async (search) => {
    const { bots } = await worker.asAdmin("GET", `/api/admin/bots?search=${encodeURIComponent(search)}`);
    return bots.map(({ user_id }) => user_id);
  };
  assert.deepEqual(await found(email.toUpperCase()), [ALICE]);
  assert.deepEqual(await found(`${"a_%".repeat(19)}aa`), []);
  assert.deepEqual(await found(ALICE.slice(0, 9).toUpperCase()), [ALICE]);
});

test("an operator in a repository leaves an event a minute", async (t) => {
  const worker = await startWorker(t);
  const facts = { address: "198.51.100.77", agent: "restic", request_id: "a-ray" };
  const headers = {
    authorization: `Bearer ${OPERATOR_TOKEN}`, "cf-connecting-ip": facts.address, "user-agent": facts.agent, "cf-ray": facts.request_id,
  };
  const ask = async (method, path) => (await worker.fetch(`/_repo/${ALICE}/${path}`, { method, headers })).status;
  for (let i = 0; i < 3; i += 1) assert.equal(await ask("GET", "snapshots/"), 200);
  assert.equal(await ask("GET", `data/${"ab".repeat(32)}`), 404, "what is not there is part of it");
  assert.equal(await ask("POST", "?create=true"), 200);
  for (let i = 0; i < 3; i += 1) assert.equal(await ask("DELETE", `data/${"ab".repeat(32)}`), 403);
  const query = "SELECT * FROM events WHERE actor = 'operator' ORDER BY id";
  const { results } = await (await worker.database()).prepare(query).all();
  const { action, user_id, detail } = { action: "serve-repository", user_id: ALICE, detail: "the repository" };
  const told = (kind, status, code) => ({ kind, status, code, action, user_id, detail, ...facts });
  assert.deepEqual(results.map(({ kind, status, code, action: called, user_id: whose, detail: what, address, agent, request_id }) => (
    { kind, status, code, action: called, user_id: whose, detail: what, address, agent, request_id }
  )), [told("inspected", 200, null), told("changed", 200, null), told("refused", 403, "deletion-refused")]);

  const own = (await (await worker.as(ALICE, "/api/bot/events")).json()).events.filter(({ actor }) => actor === "operator");
  assert.equal(own.length, 3);
  assert.doesNotMatch(JSON.stringify(own), /198\.51\.100\.77|a-ray/, "an operator's address is their own");
});

test("a run in its repository leaves no event there", async (t) => {
  const worker = await startWorker(t);
  const headers = { authorization: `Bearer ${mint(ALICE)}` };
  assert.equal((await worker.fetch(`/_repo/${ALICE}/snapshots/`, { headers })).status, 200);
  assert.equal((await worker.fetch(`/_repo/${ALICE}/data/${"ab".repeat(32)}`, { method: "DELETE", headers })).status, 403);
  assert.deepEqual(await events(worker), []);
});

test("a body that an admin's endpoint does not take is an event", async (t) => {
  const worker = await startWorker(t);
  const headers = { ...worker.adminBearer(), "content-type": "application/json" };
  const body = JSON.stringify({ entry: "x".repeat(17 * 1024) });
  assert.equal((await worker.fetch("/api/admin/invitations", { method: "POST", headers, body })).status, 413);
  const chunked = httpRequest(worker.address, {
    method: "POST", path: "/api/admin/allow-list", headers: { host: HOST, ...headers, "transfer-encoding": "chunked" },
  });
  chunked.end("{}");
  const [answer] = await once(chunked, "response");
  answer.resume();
  assert.equal(answer.statusCode, 400);
  const found = await events(worker, "actor <> 'owner'");
  assert.deepEqual(found.map(({ actor, action, status, code }) => [actor, action, status, code]), [
    [ADMIN, "admin-invite", 413, "too-large"], [ADMIN, "admin-allow", 400, "bad-request"],
  ]);
});

test("whom an admin looks for among all is in the event", async (t) => {
  const worker = await startWorker(t);
  const long = "a".repeat(2_000);
  for (const query of ["", "?search=alice", "?search=bob&state=running", "?search=bob&state=running", `?cursor=user.0.${ALICE}`, `?search=${long}`]) {
    assert.ok((await worker.asAdmin("GET", `/api/admin/bots${query}`)).bots, query);
  }
  for (const query of ["", `?after=${BOB}`]) assert.ok((await worker.asAdmin("GET", `/api/admin/users${query}`)).users);
  const of = async (action) => (await events(worker, `action = '${action}' AND kind = 'inspected'`)).map(({ detail }) => detail);
  assert.deepEqual(await of("admin-list-bots"), [
    null, "search alice", "state running, search bob", `after ${ALICE}`, `search ${"a".repeat(493)}`,
  ]);
  assert.deepEqual(await of("admin-list-users"), [null, `after ${BOB}`]);
});
