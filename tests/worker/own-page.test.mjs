// The owner's own page as the Worker serves it, and what its session may change. What it does in a browser:
// tests/e2e/my-bot.test.mjs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { NAVIGATION, PAGE, signIn } from "./browser.mjs";
import { ALICE, HOST, ORIGIN, startWorker } from "./harness.mjs";
import { SESSION_COOKIE, sealed, sessionOf } from "./sealed.mjs";

const BOT_DOMAIN = "claws.example.net";
const BOT_HOST = `${ALICE}.${BOT_DOMAIN}`;
const start = (t, more = {}) => startWorker(t, { bindings: { BOT_DOMAIN }, ...more });

/** What a script of a page of this host sends beside the cookie. */
const script = (token, more = {}) => ({ "x-csrf-token": token, origin: ORIGIN, "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", ...more });

async function ownSession(worker, cookie, more = {}) {
  return (await worker.fetch("/api/bot/session", { headers: { cookie }, ...more })).json();
}

async function pin(worker, headers, path = "/api/bot/pin") {
  const answer = await worker.fetch(path, { method: "POST", headers });
  return { status: answer.status, document: await answer.json() };
}

test("the owner's page has headers that protect an owner, and stays small", async (t) => {
  const worker = await start(t, { assets: true });
  const stranger = await worker.fetch("/bot", PAGE);
  assert.deepEqual([stranger.status, stranger.headers.get("location")], [303, "/login?next=%2Fbot"]);
  const cookie = await signIn(worker);
  const page = await worker.fetch("/bot", { headers: { ...NAVIGATION, cookie } });
  assert.equal(page.status, 200);
  const policy = page.headers.get("content-security-policy").split("; ");
  for (const directive of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "form-action 'none'"]) {
    assert.ok(policy.includes(directive), `${directive} in ${policy}`);
  }
  assert.ok(!policy.join().includes("unsafe"));
  for (const [name, value] of [["cross-origin-opener-policy", "same-origin"], ["cross-origin-resource-policy", "same-origin"], ["cache-control", "no-store"], ["x-content-type-options", "nosniff"]]) {
    assert.equal(page.headers.get(name), value, name);
  }
  const html = await page.text();
  assert.ok(!/<script(?![^>]* src=)|<style|\son\w+=/.test(html), "nothing stands in the page that its policy forbids");
  let bytes = 0;
  for (const path of new Set(html.match(/\/admin\/assets\/[\w.-]+/g))) bytes += gzipSync(Buffer.from(await (await worker.fetch(path)).arrayBuffer())).length;
  t.diagnostic(`${Math.round(bytes / 1000)} kB gzip`);
  assert.ok(bytes > 0 && bytes < 250_000, `${bytes}`);
  assert.equal(await (await worker.fetch("/bot/snapshots?x=1", { headers: { ...NAVIGATION, cookie } })).text(), html);
  const program = await worker.fetch("/bot/snapshots", { headers: { cookie } });
  assert.deepEqual([program.status, (await program.json()).code], [404, "not-found"]);
});

test("on a bot's own host /bot is the bot's", async (t) => {
  const worker = await start(t, { assets: true });
  const session = sessionOf(await signIn(worker));
  const cookie = sealed(session, { purpose: `${SESSION_COOKIE}@${BOT_HOST}` });
  for (const path of ["/bot", "/bot/snapshots"]) {
    const answer = await worker.fetch(path, { host: BOT_HOST, headers: { cookie } });
    assert.deepEqual([answer.status, new URL((await answer.json()).url).pathname], [200, path], path);
  }
  // And its session there changes nothing of the platform's.
  const { csrf_token: token } = await ownSession(worker, await signIn(worker));
  const there = await worker.fetch("/api/bot/pin", { method: "POST", host: BOT_HOST, headers: { cookie, ...script(token, { origin: `https://${BOT_HOST}` }) } });
  assert.equal(there.status, 404);
  assert.equal((await worker.fetch("/api/bot/session", { host: BOT_HOST, headers: { cookie } })).status, 404);
});

test("the owner's page changes something by its session and CSRF token", async (t) => {
  const worker = await start(t);
  const cookie = await signIn(worker);
  const { user, email, csrf_token: token } = await ownSession(worker, cookie);
  assert.deepEqual([user, email], [ALICE, "dev-1@moltworker.test"]);
  const headers = { cookie, ...script(token) };
  const pinned = await pin(worker, headers);
  assert.deepEqual([pinned.status, pinned.document.pinned], [200, true]);
  // A script that orders is answered, not led on as a form is.
  assert.equal((await pin(worker, headers, "/api/bot/restart")).status, 200);
  const made = await worker.fetch("/api/bot/tokens", { method: "POST", headers: { ...headers, "content-type": "application/json" }, body: JSON.stringify({ name: "phone", scope: "connect" }) });
  assert.equal(made.status, 200);
  const { origin, ...reading } = headers;
  const listed = await (await worker.fetch("/api/bot/tokens", { headers: reading })).json();
  assert.deepEqual(listed.tokens.map(({ name }) => name), ["phone"]);
  const events = await (await worker.fetch("/api/bot/events", { headers: { cookie } })).json();
  assert.ok(events.events.some(({ action, actor }) => action === "pin-bot" && actor === "owner"));
});

test("a CSRF token is refused with any other session, origin or host", async (t) => {
  const worker = await start(t);
  const cookie = await signIn(worker);
  const { csrf_token: token } = await ownSession(worker, cookie);
  const { csrf_token: another } = await ownSession(worker, await signIn(worker));
  assert.notEqual(token, another);
  const refused = async (headers, status, code) => {
    const { status: found, document } = await pin(worker, { cookie, ...headers });
    assert.deepEqual([found, document.code], [status, code], JSON.stringify(headers));
  };
  const { "x-csrf-token": _, ...tokenless } = script(token);
  await refused(tokenless, 401, "bearer-required");
  for (const wrong of ["", another, token.slice(1), `${token}A`, token.toLowerCase()]) await refused(script(wrong), 403, "csrf-token-refused");
  for (const origin of ["https://evil.example", `https://${BOT_HOST}`, "null", `http://${HOST}`]) await refused(script(token, { origin }), 403, "wrong-origin");
  for (const site of ["cross-site", "same-site", "none"]) await refused(script(token, { "sec-fetch-site": site }), 403, "wrong-origin");
  await refused({ "x-csrf-token": token }, 403, "wrong-origin");
  // A sealed cookie of somebody else's is their session, and this token is not theirs.
  const session = sessionOf(cookie);
  const other = sealed({ ...session, id: "AAAAAAAAAAAAAAAAAAAAAA" });
  assert.equal((await pin(worker, { cookie: other, ...script(token) })).document.code, "csrf-token-refused");
  assert.equal((await pin(worker, script(token))).document.code, "sign-in-required");
  // What only asks needs it too, where the answer is about what opens the bot.
  const { origin, ...reading } = script(token);
  const tokens = (headers) => worker.fetch("/api/bot/tokens", { headers: { cookie, ...headers } });
  assert.equal((await tokens(reading)).status, 200);
  assert.equal((await tokens({})).status, 401);
  assert.equal((await tokens({ ...reading, "sec-fetch-site": "same-site" })).status, 403);
});

test("where bots share the platform's host no page changes anything", async (t) => {
  const worker = await startWorker(t, { assets: true });
  const cookie = await signIn(worker);
  assert.equal((await worker.fetch("/bot", { headers: { ...NAVIGATION, cookie } })).status, 200);
  const { csrf_token: token, email } = await ownSession(worker, cookie);
  assert.deepEqual([token, email], [null, "dev-1@moltworker.test"]);
  // Nor by a token of a deployment in which there was one: it follows from the session alone.
  const other = await start(t);
  const { csrf_token: once } = await ownSession(other, sealed(sessionOf(cookie)));
  assert.equal(typeof once, "string");
  const { status, document } = await pin(worker, { cookie, ...script(once) });
  assert.deepEqual([status, document.code], [403, "csrf-token-refused"]);
  assert.equal((await worker.fetch("/api/bot/tokens", { headers: { cookie, ...script(once) } })).status, 403);
  // Our pages' buttons work as ever.
  assert.equal((await pin(worker, { cookie, origin: ORIGIN, "sec-fetch-mode": "cors" }, "/api/bot/restart")).status, 200);
});

test("signing in leads on to the owner's page", async (t) => {
  const worker = await start(t);
  const page = await (await worker.fetch("/login?next=%2Fbot%2Fsnapshots", PAGE)).text();
  assert.match(page, /value="\/bot\/snapshots"/);
});
