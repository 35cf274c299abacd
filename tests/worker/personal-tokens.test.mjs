// Personal access tokens: what a device or a program has in place of a sign-in, in each way such clients can send it.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { ALICE, BOB, HOST, ORIGIN, bearer, startWorker } from "./harness.mjs";

const PATH = "/api/bot/tokens";
const HOUR = 3600 * 1000;

const call = (worker, method, document, who = { sub: ALICE }) => worker.call(who, method, PATH, document);
const basic = (name, token) => ({ authorization: `Basic ${Buffer.from(`${name}:${token}`).toString("base64")}` });
/** What OpenClaw's node hosts send of CF_ACCESS_CLIENT_ID and CF_ACCESS_CLIENT_SECRET. */
const node = (token) => ({ "cf-access-client-id": "moltworker", "cf-access-client-secret": token });
const WAYS = { bearer, basic: (token) => basic("phone", token), "basic without a name": (token) => basic("", token), node };

async function make(worker, changes = {}, who) {
  const made = await call(worker, "POST", { name: "phone", scope: "connect", ...changes }, who);
  assert.equal(made.status, 200, JSON.stringify(made));
  return made;
}

const codeOf = async (answer) => (answer.headers.get("content-type") === "application/problem+json" ? (await answer.json()).code : answer.status);
const asked = async (worker, path, headers, init = {}) => codeOf(await worker.fetch(path, { ...init, headers }));

test("a token is told once and known by its hash alone", async (t) => {
  const worker = await startWorker(t);
  const { token, entry } = await make(worker, { name: " Alice's phone ", expires_in_days: 7 });
  assert.match(token, /^mwk_[\w-]{43}$/);
  assert.deepEqual(
    { name: entry.name, scope: entry.scope, days: (entry.expires_at - entry.created_at) / (24 * HOUR), used_at: entry.used_at },
    { name: "Alice's phone", scope: "connect", days: 7, used_at: null },
  );
  const { tokens } = await call(worker, "GET");
  assert.deepEqual(tokens, [entry]);
  const database = await worker.database();
  const [row, ...more] = (await database.prepare("SELECT * FROM personal_tokens").all()).results;
  assert.deepEqual(more, []);
  assert.equal(row.hash, createHash("sha256").update(token).digest("base64url"));
  await worker.fetch("/", { headers: bearer(token) });
  const dump = JSON.stringify([row, (await database.prepare("SELECT * FROM events").all()).results]) + worker.log.text;
  assert.ok(!dump.includes(token), "it stands in no row and no log");
  const { events } = await (await worker.as(ALICE, "/api/bot/events")).json();
  // With the same call its owner became a user.
  const made = events.filter(({ action, detail }) => action === "create-personal-token" && !detail.startsWith("became a user"));
  assert.deepEqual(made.map(({ kind, detail }) => [kind, detail]), [
    ["changed", `${entry.id} connect Alice's phone`],
  ]);
});

test("a token opens its owner's bot, in each way clients can send it", async (t) => {
  const worker = await startWorker(t);
  const { token } = await make(worker);
  for (const [name, headers] of Object.entries(WAYS)) {
    const bot = await worker.fetch("/v1/models", { headers: headers(token) });
    assert.equal(bot.status, 200, name);
    const seen = (await bot.json()).headers;
    assert.ok(!JSON.stringify(seen).includes(token.slice(4)), `${name}: the bot does not see it`);
    assert.deepEqual([seen.authorization, seen["cf-access-client-secret"]], [undefined, undefined], name);
    const { socket } = await worker.upgrade("/", headers(token));
    socket.terminate();
  }
  assert.equal((await worker.record(ALICE)).starts.length, 1);
  // A page of another site cannot open a WebSocket with it, were it to have one.
  await assert.rejects(worker.upgrade("/", { ...node(token), origin: "https://evil.example" }), /403/);
});

test("a token counts in no URL, cookie or WebSocket protocol", async (t) => {
  const worker = await startWorker(t);
  const { token } = await make(worker);
  for (const [path, headers] of [
    [`/?token=${token}`, {}],
    [`/?access_token=${token}`, {}],
    ["/", { cookie: `__Host-moltbot-session=${token}` }],
    ["/", { "sec-websocket-protocol": token }],
    ["/", { "x-openclaw-token": token }],
    ["/", { "cf-access-client-id": token }],
  ]) {
    assert.equal(await asked(worker, path, headers), "sign-in-required", path);
  }
  for (const headers of [
    basic(token, ""), basic("phone", `x${token}`), bearer(`${token}x`), bearer(token.toUpperCase()), bearer(token.slice(0, -1)), bearer("mwk_"),
    { authorization: `Token ${token}` }, { ...bearer("x"), ...node(token) },
  ]) {
    assert.equal(await asked(worker, "/", headers), "token-refused", JSON.stringify(headers));
  }
  assert.equal(await asked(worker, "/", node("a secret of Cloudflare's")), "sign-in-required");
  assert.deepEqual((await worker.record(ALICE)).starts, []);
});

test("a token that is revoked opens nothing from then on", async (t) => {
  const worker = await startWorker(t);
  const [kept, gone] = [await make(worker, { name: "kept" }), await make(worker, { name: "gone", scope: "manage" })];
  for (const { token } of [kept, gone]) assert.equal(await asked(worker, "/", bearer(token)), 200);
  const left = await call(worker, "DELETE", { id: gone.entry.id });
  assert.deepEqual(left.tokens.map(({ name }) => name), ["kept"]);
  assert.equal(await asked(worker, "/", bearer(gone.token)), "token-refused");
  assert.equal(await asked(worker, "/api/bot", bearer(gone.token)), "token-refused");
  assert.equal(await asked(worker, "/", bearer(kept.token)), 200);
  assert.equal((await call(worker, "DELETE", { id: gone.entry.id })).code, "no-such-entry");
  assert.equal((await call(worker, "DELETE", { id: kept.entry.id }, { sub: BOB })).code, "no-such-entry", "it is not Bob's");
});

test("a token ends with its time, its owner's access and the database", async (t) => {
  const worker = await startWorker(t);
  const { token } = await make(worker, { expires_in_days: 1, scope: "manage" });
  assert.equal(await asked(worker, "/", bearer(token)), 200);
  await worker.asAdmin("POST", `/api/admin/users/${ALICE}/suspend`);
  assert.equal(await asked(worker, "/", bearer(token)), "account-suspended");
  await worker.asAdmin("POST", `/api/admin/users/${ALICE}/activate`);
  assert.equal(await asked(worker, "/api/bot", bearer(token)), 200);
  const database = await worker.database();
  await database.prepare("ALTER TABLE personal_tokens RENAME TO away").run();
  assert.equal(await asked(worker, "/", bearer(token)), "directory-unavailable", "nobody can say it was not revoked");
  await database.prepare("ALTER TABLE away RENAME TO personal_tokens").run();
  await worker.ahead(24 * HOUR);
  assert.equal(await asked(worker, "/", bearer(token)), "token-expired");
});

test("a scope is what it says", async (t) => {
  const worker = await startWorker(t);
  const [connect, manage] = [await make(worker), await make(worker, { scope: "manage" })];
  const order = (token) => asked(worker, "/api/bot/pin", bearer(token), { method: "POST" });
  assert.deepEqual([await order(connect.token), await order(manage.token)], ["token-scope", 200]);
  for (const { token } of [connect, manage]) {
    const init = { method: "POST", body: JSON.stringify({ name: "child", scope: "manage" }) };
    const headers = { ...bearer(token), "content-type": "application/json" };
    assert.equal(await asked(worker, PATH, headers, init), "personal-token-refused", "a token makes no token");
  }
});

test("the last use is written once an hour", async (t) => {
  const worker = await startWorker(t);
  const { token } = await make(worker);
  const used = async () => (await call(worker, "GET")).tokens[0].used_at;
  await worker.fetch("/", { headers: bearer(token) });
  const first = await used();
  assert.ok(first > 0);
  await worker.ahead(HOUR / 2);
  await worker.fetch("/", { headers: bearer(token) });
  assert.equal(await used(), first);
  await worker.ahead(HOUR + 1000);
  await worker.fetch("/", { headers: bearer(token) });
  assert.ok((await used()) >= first + HOUR);
});

test("each token is counted on its own", async (t) => {
  const worker = await startWorker(t, { limits: { USER_LIMIT: 8 } });
  const from = { "cf-connecting-ip": "203.0.113.9" };
  const [wild, tame] = [await make(worker, { name: "wild" }), await make(worker, { name: "tame" })];
  for (let i = 0; i < 8; i += 1) assert.equal(await asked(worker, "/", { ...bearer(wild.token), ...from }), 200, `request ${i + 1}`);
  assert.equal(await asked(worker, "/", { ...bearer(wild.token), ...from }), "too-many-requests");
  assert.equal(await asked(worker, "/", { ...bearer(tame.token), ...from }), 200);
  assert.equal(await asked(worker, "/", { ...worker.bearer(ALICE), ...from }), 200, "its owner is not kept out");
});

test("tokens have limits that are told", async (t) => {
  const worker = await startWorker(t);
  for (const [changes, words] of [
    [{ name: "" }, /name: 1 to 64 characters/],
    [{ name: "a\nb" }, /name: 1 to 64 characters/],
    [{ name: "x".repeat(65) }, /name: 1 to 64 characters/],
    [{ expires_in_days: 0 }, /1 to 366 days/],
    [{ expires_in_days: 367 }, /1 to 366 days/],
    [{ scope: "admin" }, /unknown variant `admin`, expected `connect` or `manage`/],
    [{ user: BOB }, /unknown field/],
  ]) {
    const refused = await call(worker, "POST", { name: "phone", scope: "connect", ...changes });
    assert.deepEqual([refused.status, refused.code], [400, "bad-request"], JSON.stringify(changes));
    assert.match(refused.detail, words);
  }
  const made = await Promise.all(Array.from({ length: 26 }, (_, i) => call(worker, "POST", { name: `${i}`, scope: "connect", expires_in_days: 1 })));
  assert.equal(made.filter(({ status }) => status === 200).length, 25);
  const [refused] = made.filter(({ status }) => status !== 200);
  assert.deepEqual([refused.code, refused.detail], ["too-many-personal-tokens", "one may have 25 at a time"]);
  await worker.ahead(24 * HOUR + 1000);
  const late = worker.provider.token({ sub: ALICE, exp: Math.floor(Date.now() / 1000) + 48 * 3600 });
  const answer = await worker.fetch(PATH, {
    method: "POST", body: JSON.stringify({ name: "next", scope: "connect" }), headers: { ...bearer(late), "content-type": "application/json" },
  });
  assert.equal(answer.status, 200, "those that have ended make room");
});

test("a token opens no host but its owner's", async (t) => {
  const worker = await startWorker(t);
  await worker.giveDomain(BOB, "bob.example.org");
  await worker.giveDomain(ALICE, "alice.example.org");
  const { token } = await make(worker);
  const at = async (host) => codeOf(await worker.fetch("/", { host, headers: bearer(token) }));
  assert.deepEqual([await at(HOST), await at("alice.example.org"), await at("bob.example.org")], [200, 200, "not-your-bot"]);
  // An admin's role, as it is recorded, is not changed by their program.
  const admin = await make(worker, {}, { sub: BOB, aal: "aal2", app_metadata: { role: "admin" } });
  await worker.ahead(2 * HOUR);
  assert.equal(await asked(worker, "/", bearer(admin.token)), 200);
  const role = await (await worker.database()).prepare("SELECT role FROM users WHERE user_id = ?").bind(BOB).first("role");
  assert.equal(role, "admin");
});

test("where everyone needs two factors, a token made with both goes on", async (t) => {
  const worker = await startWorker(t, { bindings: { REQUIRE_MFA: "everyone" } });
  assert.equal((await call(worker, "POST", { name: "phone", scope: "connect" })).code, "second-factor-required");
  const { token, entry } = await make(worker, {}, { sub: ALICE, aal: "aal2" });
  assert.equal(await asked(worker, "/", bearer(token)), 200);
  assert.equal((await worker.fetch("/", { headers: { ...bearer(token), origin: ORIGIN } })).status, 200);
  // As one that was made while a password alone was enough.
  await (await worker.database()).prepare("UPDATE personal_tokens SET mfa = 0 WHERE token_id = ?").bind(entry.id).run();
  assert.equal(await asked(worker, "/", bearer(token)), "second-factor-required");
});
