// The table of endpoints from outside: who is let in where, and what is written down about it.
import test from "node:test";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { ADMIN, ADMIN_CLAIMS, ALICE, BOB, ORIGIN, MONITOR_TOKEN, OPERATOR_TOKEN, bearer, startWorker } from "./harness.mjs";
import { NAVIGATION, signIn } from "./browser.mjs";
import { BOT_HOST, matrix } from "./access-matrix.mjs";
import { mint } from "./repository.mjs";
import { SESSION_COOKIE, sealed, sessionOf } from "./sealed.mjs";

const EXPIRED_AT = 1;
const AGENT = "a browser of this test";
const ADDRESS = "203.0.113.7";
// More than all callers at all endpoints.
const LIMITS = { ADDRESS_LIMIT: 100_000, USER_LIMIT: 100_000 };

/** A Worker with everything the matrix asks for. */
function start(t) {
  // Where bots share the platform's host there are no CSRF tokens (own-page.test.mjs).
  return startWorker(t, { limits: LIMITS, bindings: { OAUTH_PROVIDERS: "github", BOT_DOMAIN: "claws.example.net" } });
}

/** The headers each kind of caller sends. */
async function callers(worker) {
  await worker.giveDomain(ALICE, BOT_HOST);
  const cookie = await signIn(worker);
  const session = sessionOf(cookie);
  // All callers at all endpoints take a while on a busy machine.
  const expiresAt = Date.now() + 10 * 60_000;
  const adminSession = sealed({ ...session, identity: { ...session.identity, user: ADMIN, admin: true } });
  return {
    nobody: {},
    expired: bearer(worker.provider.token({ sub: ALICE, exp: EXPIRED_AT, iat: EXPIRED_AT })),
    owner: worker.bearer(ALICE),
    stranger: worker.bearer(BOB),
    session: { cookie },
    ...(await pages(worker, cookie)),
    hostSession: { cookie: sealed(session, { purpose: `${SESSION_COOKIE}@${BOT_HOST}` }) },
    adminSession: { cookie: adminSession },
    admin: worker.adminBearer(),
    run: bearer(mint(ALICE, { expiresAt })),
    maintain: bearer(mint(ALICE, { scope: "maintain", expiresAt })),
    operator: bearer(OPERATOR_TOKEN),
    monitor: bearer(MONITOR_TOKEN),
    ...(await personal(worker)),
  };
}

/** Pages that send Alice's session. Each names its origin, as browsers do for what changes something. */
async function pages(worker, cookie) {
  const tokenOf = async (cookie) => (await (await worker.fetch("/api/bot/session", { headers: { cookie } })).json()).csrf_token ?? "none";
  const [own, another] = [await tokenOf(cookie), await tokenOf(await signIn(worker))];
  const page = (token, origin = ORIGIN) => ({ cookie, "x-csrf-token": token, origin });
  return { page: page(own), otherPage: page(another), foreignPage: page(own, "https://evil.example") };
}

/** Callers with personal access tokens: Alice's, an admin's, and one that was revoked. */
async function personal(worker) {
  const make = async (who, scope) => bearer((await worker.call(who, "POST", "/api/bot/tokens", { name: scope, scope })).token);
  const { token, entry } = await worker.call({ sub: ALICE }, "POST", "/api/bot/tokens", { name: "gone", scope: "manage" });
  await worker.call({ sub: ALICE }, "DELETE", "/api/bot/tokens", { id: entry.id });
  return {
    connect: await make({ sub: ALICE }, "connect"),
    manage: await make({ sub: ALICE }, "manage"),
    adminManage: await make(ADMIN_CLAIMS, "manage"),
    revoked: bearer(token),
  };
}

async function ask(worker, { method, path, body, host, headers: its }, headers) {
  const text = body === null || typeof body === "string" ? body ?? undefined : JSON.stringify(body);
  const type = text === undefined ? {} : { "content-type": "application/json" };
  const answer = await worker.fetch(path, { method, host, headers: { ...type, ...its, ...headers }, body: text });
  const problem = answer.headers.get("content-type") === "application/problem+json" ? (await answer.json()).code : undefined;
  if (problem === undefined) await answer.arrayBuffer();
  return { status: answer.status, code: problem, location: answer.headers.get("location") };
}

/** The statuses of problems by which access is refused, and whoever asks too often. */
const REFUSED = [401, 403, 429];

/** The codes of a request that reached no endpoint, or one that could not find out. */
const NOWHERE = ["not-found", "wrong-method", "unknown-host", "directory-unavailable", "not-configured"];

/** An answer in the matrix's words. */
function verdict({ status, code, location }) {
  if (location?.startsWith("/login?")) return "to sign in";
  // A handler whose answer is not what its row says fails so.
  if (code === "internal") return `${status} ${code}`;
  return (code !== undefined && REFUSED.includes(status)) || NOWHERE.includes(code) ? `${status} ${code}` : "in";
}

test("the matrix has every endpoint of the table, on each of its hosts", async () => {
  const contract = JSON.parse(await readFile(new URL("../contract/endpoints.json", import.meta.url), "utf8"));
  const unique = (names) => [...new Set(names)].sort();
  assert.deepEqual(unique(matrix(ALICE).map(({ name }) => name)), unique(contract.map(({ action }) => action)));
  const there = matrix(ALICE).filter(({ host }) => host === BOT_HOST);
  const expected = contract.filter(({ hosts }) => ["both", "bots"].includes(hosts));
  assert.deepEqual(unique(there.map(({ name }) => name)), unique(expected.map(({ action }) => action)));
});

test("each kind of caller is let in exactly where the matrix says", async (t) => {
  const worker = await start(t);
  const headers = await callers(worker);
  const wrong = [];
  for (const endpoint of matrix(BOB)) {
    assert.deepEqual(Object.keys(endpoint.expected).sort(), Object.keys(headers).sort(), `${endpoint.name} names every caller`);
    for (const [caller, expected] of Object.entries(endpoint.expected)) {
      const answer = await ask(worker, endpoint, headers[caller]);
      const found = verdict(answer);
      if (found !== expected) wrong.push(`${endpoint.method} ${endpoint.path} by ${caller}: ${found} (${answer.status} ${answer.code}), not ${expected}`);
      // What the admin did to Bob must not decide what the next caller is answered.
      if (endpoint.name.endsWith("-user") && found === "in") {
        const { status } = await worker.asAdmin("POST", `/api/admin/users/${BOB}/activate`);
        assert.equal(status, "active", endpoint.name);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

test("no endpoint of an admin answers a cookie, whatever else is sent", async (t) => {
  const worker = await startWorker(t, { limits: LIMITS });
  const { adminSession } = await callers(worker);
  for (const endpoint of matrix(ALICE).filter(({ path }) => path.startsWith("/api/admin/"))) {
    for (const extra of [{}, { origin: ORIGIN }, { "sec-fetch-site": "same-origin", origin: ORIGIN }]) {
      const { status, code } = await ask(worker, endpoint, { ...adminSession, ...extra });
      assert.deepEqual([status, code], [401, "bearer-required"], endpoint.name);
    }
  }
});

test("a button works from a page of the same origin, with the session", async (t) => {
  const worker = await startWorker(t);
  const { session } = await callers(worker);
  for (const endpoint of matrix(ALICE).filter(({ kind }) => kind === "ownByButton")) {
    // What takes a while is followed on a page of its own.
    const location = endpoint.name === "put-back-home" ? "/api/bot/snapshots/choice" : "/";
    assert.deepEqual(await ask(worker, endpoint, { ...session, origin: ORIGIN }), { status: 303, code: undefined, location }, endpoint.name);
    assert.equal((await ask(worker, endpoint, { ...session, origin: "https://evil.example" })).code, "wrong-origin", endpoint.name);
  }
});

test("every change and every admin's look leaves one complete event", async (t) => {
  const worker = await start(t);
  const headers = await callers(worker);
  const facts = { "user-agent": AGENT, "cf-connecting-ip": ADDRESS, "cf-ray": "a-request-id" };
  // Both are known: an account that was never seen cannot be suspended.
  await worker.as(BOB, "/api/bot");
  await worker.asAdmin("GET", "/api/admin/users");
  const database = await worker.database();
  for (const endpoint of matrix(BOB)) {
    await database.prepare("DELETE FROM events").run();
    const byOperator = endpoint.event === "operator";
    const by = byOperator ? "operator" : endpoint.kind === "admin" ? "admin" : "stranger";
    const { status, code } = await ask(worker, endpoint, { ...headers[by], ...facts });
    const { results } = await database.prepare("SELECT * FROM events WHERE action IS NOT NULL").all();
    if (!endpoint.event) {
      assert.deepEqual(results, [], endpoint.name);
      continue;
    }
    assert.equal(results.length, 1, `${endpoint.name} left ${results.length} events`);
    const [event] = results;
    const { action, actor, address, agent, request_id } = event;
    assert.deepEqual(
      { action, actor, address, agent, request_id, status: event.status, code: event.code },
      {
        action: endpoint.name, actor: expectedActor(endpoint), address: ADDRESS, agent: AGENT, request_id: "a-request-id", status, code: code ?? null,
      },
    );
    assert.equal(event.kind === "refused", byOperator ? status === 403 : endpoint.event !== true, endpoint.name);
    assert.equal(event.user_id, aboutWhom(endpoint), endpoint.name);
    if (endpoint.name === "admin-delete-user") await worker.asAdmin("POST", `/api/admin/users/${BOB}/activate`);
  }
});

/** Who the event names when the admin calls an admin's endpoint, and Bob any other. */
function expectedActor({ kind, event }) {
  if (["stranger", "refused"].includes(event)) return BOB;
  return event === true ? (kind === "admin" ? ADMIN : "owner") : event;
}

/** Whose history the event is in. */
function aboutWhom({ kind, path, event }) {
  if (event === "stranger") return ALICE;
  if (event === "operator") return path.includes(BOB) ? BOB : ALICE;
  return ["anonymous", "refused"].includes(event) || (kind === "admin" && !path.includes(BOB)) ? null : BOB;
}

test("an owner's refused change is an event, once a minute", async (t) => {
  const worker = await start(t);
  const headers = await callers(worker);
  const database = await worker.database();
  await database.prepare("DELETE FROM events").run();
  const post = (path, by, more = {}) => ask(worker, { method: "POST", path, body: null, ...more }, { ...by, ...more.from });
  for (let i = 0; i < 3; i += 1) {
    const from = { "cf-connecting-ip": `2001:db8::${i + 1}` };
    await post("/api/bot/stop", headers.session, { from });
    await post("/api/bot/start", headers.session, { from });
    await post("/api/bot/stop", headers.connect, { from });
    await post("/api/bot/start", headers.stranger, { from, host: BOT_HOST });
    await post("/api/bot/stop", headers.nobody, { from });
    await ask(worker, { method: "GET", path: "/api/bot", body: null }, headers.connect);
  }
  const { results } = await database.prepare("SELECT kind, actor, user_id, action, status, code FROM events ORDER BY id").all();
  const refused = { kind: "refused", user_id: ALICE };
  assert.deepEqual(results, [
    { ...refused, actor: "owner", action: "stop-bot", status: 401, code: "bearer-required" },
    { ...refused, actor: "owner", action: "start-bot", status: 403, code: "wrong-origin" },
    { ...refused, actor: "owner", action: "stop-bot", status: 403, code: "token-scope" },
    { ...refused, actor: BOB, action: "start-bot", status: 403, code: "not-your-bot" },
  ]);
});

test("a refused call of an admin's endpoint is an event, once a minute", async (t) => {
  const worker = await startWorker(t, { limits: LIMITS });
  const headers = await callers(worker);
  const database = await worker.database();
  const events = async () => (await database.prepare("SELECT kind, actor, user_id, action, status, code FROM events WHERE kind = 'refused'").all()).results;
  const [look] = matrix(BOB).filter(({ name }) => name === "admin-read-log");
  for (let i = 0; i < 3; i += 1) await ask(worker, look, headers.owner);
  await ask(worker, look, headers.nobody);
  assert.deepEqual(await events(), [
    { kind: "refused", actor: ALICE, user_id: BOB, action: "admin-read-log", status: 403, code: "not-an-admin" },
    { kind: "refused", actor: "anonymous", user_id: BOB, action: "admin-read-log", status: 401, code: "sign-in-required" },
  ]);
  assert.equal((await worker.logged("bot-event")).filter(({ code }) => code === "not-an-admin").length, 3);
});

test("signing in and out are in the person's history", async (t) => {
  const worker = await startWorker(t);
  const cookie = await signIn(worker);
  const out = await worker.fetch("/auth/sign-out", { method: "POST", headers: { cookie, origin: ORIGIN }, body: "" });
  assert.equal(out.status, 303);
  const { events } = await (await worker.as(ALICE, "/api/bot/events")).json();
  assert.deepEqual(events.map(({ kind, action, actor }) => [kind, action, actor]), [
    ["signed-out", "sign-out", "owner"], ["signed-in", "sign-in", "owner"], ["changed", "sign-in", "owner"],
  ]);
});

test("an owner is not told an admin's address", async (t) => {
  const worker = await startWorker(t);
  await ask(worker, matrix(ALICE).find(({ name }) => name === "admin-read-log"), { ...worker.adminBearer(), "cf-connecting-ip": ADDRESS });
  const own = (await (await worker.as(ALICE, "/api/bot/events")).json()).events;
  const told = (await worker.asAdmin("GET", `/api/admin/bots/${ALICE}/events`)).events;
  const look = ({ action }) => action === "admin-read-log";
  assert.equal(own.find(look).address, null);
  assert.equal(told.find(look).address, ADDRESS);
});

test("a method that an address does not take is a page for a person", async (t) => {
  const worker = await startWorker(t);
  const answer = await worker.fetch("/auth/sign-out", { headers: NAVIGATION });
  assert.deepEqual([answer.status, answer.headers.get("allow")], [405, "POST"]);
  assert.match(answer.headers.get("content-type"), /text\/html/);
  assert.match(await answer.text(), /does not take that method/);
});
