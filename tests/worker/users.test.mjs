// Who becomes a user, who may go on being one, and what an admin's word does.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ADMIN, ALICE, BOB, startWorker } from "./harness.mjs";
import { until } from "../until.mjs";

const CAROL = "ca401000-0000-4000-8000-000000000003";
const alice = { sub: ALICE, email: "Alice@Example.com" };
const bob = { sub: BOB, email: "bob@example.org" };

const code = async (worker, who, path = "/") => (await worker.call(who, "GET", path)).code;
const starts = async (worker, user) => (await worker.record(user)).starts.length;

test("the first visit creates a user if sign-up is open", async (t) => {
  const worker = await startWorker(t);
  assert.equal((await worker.call(alice, "GET", "/")).status, 200);
  const { status, email, role, created_at, seen_at } = await worker.asAdmin("GET", `/api/admin/users/${ALICE}`);
  assert.deepEqual([status, email, role], ["active", "Alice@Example.com", "user"]);
  assert.ok(created_at > Date.now() - 60_000 && seen_at === created_at);
  const { users, next } = await worker.asAdmin("GET", "/api/admin/users");
  assert.deepEqual(users.map((user) => [user.user_id, user.role]).sort(), [[ALICE, "user"], [ADMIN, "admin"]].sort());
  assert.equal(next, null);
  const rest = await worker.asAdmin("GET", `/api/admin/users?after=${ADMIN}`);
  assert.deepEqual(rest.users.map((user) => user.user_id), [ALICE]);
  assert.equal((await worker.asAdmin("GET", `/api/admin/users/${CAROL}`)).code, "no-such-entry");
});

test("an uninvited user is refused, and an invitation admits one user", async (t) => {
  const worker = await startWorker(t, { bindings: { SIGN_UP: "invite" } });
  for (const path of ["/", "/api/bot", "/api/bot/domains"]) assert.equal(await code(worker, alice, path), "not-invited", path);
  assert.equal((await worker.call(alice, "POST", "/api/bot/stop")).code, "not-invited");
  assert.equal(await worker.socket(ALICE, "/ws"), 403);
  assert.equal(await starts(worker, ALICE), 0);

  const invited = await worker.asAdmin("POST", "/api/admin/invitations", { entry: "ALICE@example.com" });
  assert.deepEqual(invited.invitations.map(({ entry, invited_by, used_by }) => [entry, invited_by, used_by]), [["alice@example.com", ADMIN, null]]);
  assert.equal((await worker.call(alice, "GET", "/")).status, 200);
  const { invitations } = await worker.asAdmin("GET", "/api/admin/invitations");
  assert.equal(invitations[0].used_by, ALICE);
  assert.equal(await code(worker, { sub: CAROL, email: "alice@example.com" }), "not-invited", "it is used up");

  await worker.asAdmin("POST", "/api/admin/invitations", { entry: BOB });
  await worker.asAdmin("DELETE", "/api/admin/invitations", { entry: BOB });
  assert.equal(await code(worker, bob), "not-invited", "it was taken back");
  await worker.asAdmin("POST", "/api/admin/invitations", { entry: BOB });
  assert.equal((await worker.call({ sub: BOB }, "GET", "/")).status, 200, "by id, without an address");
  assert.match((await worker.asAdmin("POST", "/api/admin/invitations", { entry: "@example.com" })).detail, /for one person/);
});

test("the allow-list of settings and database accepts emails, domains, ids", async (t) => {
  const bindings = { SIGN_UP: "allow-list", ALLOW_LIST: "alice@example.com", ADMIN_USER_IDS: ADMIN };
  const worker = await startWorker(t, { bindings });
  assert.equal((await worker.call(alice, "GET", "/")).status, 200);
  assert.equal(await code(worker, bob), "not-invited");
  assert.equal(await code(worker, { sub: BOB }), "not-invited", "no address matches nothing");
  assert.equal(await code(worker, { sub: BOB, email: "x@example.org.evil.example" }), "not-invited");
  const added = await worker.asAdmin("POST", "/api/admin/allow-list", { entry: "@Example.org" });
  assert.deepEqual(added.allow_list.map(({ entry, added_by }) => [entry, added_by]), [["@example.org", ADMIN]]);
  assert.equal((await worker.call(bob, "GET", "/")).status, 200);
  const emptied = await worker.asAdmin("DELETE", "/api/admin/allow-list", { entry: "@example.org" });
  assert.deepEqual(emptied.allow_list, []);
  assert.equal(await code(worker, { sub: CAROL, email: "carol@example.org" }), "not-invited");
  await worker.asAdmin("POST", "/api/admin/invitations", { entry: "carol@example.org" });
  assert.equal((await worker.call({ sub: CAROL, email: "carol@example.org" }, "GET", "/")).status, 200, "invited as well");
});

test("an admin by setting needs no token claim and no invitation", async (t) => {
  const worker = await startWorker(t, { bindings: { SIGN_UP: "invite", ADMIN_USER_IDS: ALICE } });
  assert.equal((await worker.call({ ...alice, aal: "aal2" }, "GET", "/api/admin/users")).status, 200);
  assert.equal((await worker.call({ sub: BOB, aal: "aal2", app_metadata: { role: "admin" } }, "GET", "/api/admin/users")).status, 200);
  assert.equal((await worker.call({ sub: CAROL }, "GET", "/api/admin/users")).code, "not-invited");
});

test("a suspended user and all requests to their bot are refused at once", async (t) => {
  const worker = await startWorker(t);
  await worker.call(alice, "GET", "/");
  const suspended = await worker.asAdmin("POST", `/api/admin/users/${ALICE}/suspend`);
  assert.deepEqual([suspended.status, suspended.status_by], ["suspended", ADMIN]);
  await until(async () => (await worker.admin(ALICE)).json().then(({ state }) => state === "suspended"), "its bot is suspended");
  const asked = (await worker.record(ALICE)).served.length;
  for (const [method, path] of [["GET", "/"], ["GET", "/api/bot"], ["POST", "/api/bot/start"], ["GET", "/api/bot/domains"]]) {
    assert.equal((await worker.call(alice, method, path)).code, "account-suspended", path);
  }
  assert.equal(await worker.socket(ALICE, "/ws"), 403);
  assert.equal((await worker.record(ALICE)).served.length, asked, "nothing reached the bot");

  await worker.restart();
  assert.equal(await code(worker, alice), "account-suspended", "it is stored");
  await worker.asAdmin("POST", `/api/admin/users/${ALICE}/activate`);
  assert.equal((await worker.call(alice, "GET", "/")).status, 200);

  await worker.asAdmin("POST", `/api/admin/users/${ALICE}/delete`);
  assert.equal(await code(worker, alice), "account-deleted");
  await worker.restart();
  assert.equal(await code(worker, alice), "account-deleted", "an old token makes no new user");
});

test("an isolate caches users between requests", async (t) => {
  const worker = await startWorker(t);
  await worker.call(alice, "GET", "/");
  const database = await worker.database();
  await database.prepare("UPDATE users SET status = 'suspended'").run();
  assert.equal((await worker.call(alice, "GET", "/")).status, 200, "believed for a minute");
  await worker.restart();
  assert.equal(await code(worker, alice), "account-suspended");
});

test("a database outage admits cached users and delays others", async (t) => {
  const worker = await startWorker(t);
  await worker.call(alice, "GET", "/");
  const database = await worker.database();
  await database.prepare("ALTER TABLE users RENAME TO away").run();
  assert.equal((await worker.call(alice, "GET", "/")).status, 200);
  const refused = await worker.fetch("/", { headers: worker.bearer(BOB) });
  assert.equal(refused.status, 503);
  assert.equal((await refused.json()).code, "directory-unavailable");
  assert.ok(refused.headers.get("retry-after"));
  assert.equal(await starts(worker, BOB), 0);
  await database.prepare("ALTER TABLE events RENAME TO events_away").run();
  const history = await worker.call(alice, "GET", "/api/bot/events");
  assert.deepEqual([history.status, history.code], [503, "directory-unavailable"]);
});

test("an admin cannot suspend themselves, and an unknown user is not changed", async (t) => {
  const worker = await startWorker(t);
  const self = await worker.asAdmin("POST", `/api/admin/users/${ADMIN}/suspend`);
  assert.deepEqual([self.status, self.code], [400, "bad-request"]);
  assert.equal((await worker.asAdmin("POST", `/api/admin/users/${CAROL}/suspend`)).code, "no-such-entry");
  for (const entry of ["alice", "", "*", "a@b", "a b@example.com"]) {
    assert.match((await worker.asAdmin("POST", "/api/admin/allow-list", { entry })).detail, /an entry is an e-mail address/);
  }
  assert.equal((await worker.asAdmin("POST", "/api/admin/allow-list", { wrong: 1 })).code, "bad-request");
});

test("an admin's account changes are recorded and start no stopped bot", async (t) => {
  const worker = await startWorker(t);
  await worker.call(alice, "GET", "/api/bot");
  assert.equal((await worker.order(ALICE, "stop")).status, 200);
  assert.equal((await worker.asAdmin("POST", `/api/admin/users/${ALICE}/activate`)).user_id, ALICE);
  assert.equal((await worker.call(alice, "GET", "/api/bot")).state, "stopped");
  await worker.order(ALICE, "start");
  for (const verb of ["suspend", "activate"]) await worker.asAdmin("POST", `/api/admin/users/${ALICE}/${verb}`);
  assert.equal((await worker.call(alice, "GET", "/api/bot")).state, "asleep");
  const { events } = await worker.call(alice, "GET", "/api/bot/events");
  const ordered = events.filter(({ actor }) => actor === ADMIN).map(({ kind, detail }) => `${kind} ${detail}`);
  assert.deepEqual(ordered, ["ordered activate the account", "ordered suspend the account", "ordered activate the account"]);
});
