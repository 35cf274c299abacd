// A browser's session over time: renewed inside the request that needs it, ended when its owner or the provider
// says so, kept when the provider cannot be asked.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ALICE, ORIGIN, startWorker, until } from "./harness.mjs";
import { NAVIGATION, cookieOf, sealed, sessionOf, signIn } from "./browser.mjs";

const REFRESH = "/token?grant_type=refresh_token";

/** A worker, and a browser whose session's proof has ended. */
async function withEndedSession(t) {
  const worker = await startWorker(t);
  worker.provider.lifetime = -10;
  const cookie = await signIn(worker);
  worker.provider.lifetime = 3600;
  return { worker, provider: worker.provider, cookie };
}

test("an expired session is renewed within the request that needs it", async (t) => {
  const { worker, provider, cookie } = await withEndedSession(t);
  const answer = await worker.fetch("/chat", { headers: { cookie } });
  assert.equal(answer.status, 200);
  assert.equal((await answer.json()).headers.cookie, undefined, "the bot sees nothing of it");
  const renewed = cookieOf(answer);
  assert.notEqual(renewed, cookie);
  assert.match(answer.headers.get("set-cookie"), /Path=\/; Max-Age=2592000; Secure; HttpOnly; SameSite=Lax$/);
  assert.equal(provider.called(REFRESH).length, 1);

  const next = await worker.fetch("/chat", { headers: { cookie: renewed } });
  assert.equal(next.headers.get("set-cookie"), null, "it holds for an hour");
  assert.equal(provider.called(REFRESH).length, 1);
});

test("a valid session sets no cookie, and the cookie contains no token", async (t) => {
  const worker = await startWorker(t);
  const cookie = await signIn(worker);
  assert.ok(cookie.length < 400, `${cookie.length} bytes go with every request`);
  assert.equal((await worker.fetch("/", { headers: { cookie } })).headers.get("set-cookie"), null);
  const { identity, id, ...more } = sessionOf(cookie);
  assert.deepEqual(Object.keys(identity).sort(), ["admin", "email", "expires_at", "user"]);
  assert.match(id, /^[\w-]{22}$/);
  assert.deepEqual(more, {});
});

test("a WebSocket renews the session as well", async (t) => {
  const { worker, cookie } = await withEndedSession(t);
  const { socket, headers } = await worker.upgrade("/ws", { cookie, origin: ORIGIN });
  assert.match(headers["set-cookie"][0], /^__Host-moltbot-session=[\w-]{100}/);
  socket.send("hello");
  const [data] = await new Promise((resolve) => socket.once("message", (...message) => resolve(message)));
  assert.match(String(data), /hello/);
  socket.close();
});

test("twenty requests at once spend the refresh token once", async (t) => {
  const { worker, provider, cookie } = await withEndedSession(t);
  let release;
  provider.hold = new Promise((resolve) => (release = resolve));
  const all = Array.from({ length: 20 }, () => worker.fetch("/", { headers: { cookie } }));
  setTimeout(release, 300);
  for (const answer of await Promise.all(all)) {
    assert.equal(answer.status, 200);
    assert.ok(cookieOf(answer), "each gets the new cookie");
  }
  assert.equal(provider.called(REFRESH).length, 1);
  // One that was on its way with the old cookie meanwhile, likewise.
  assert.equal((await worker.fetch("/", { headers: { cookie } })).status, 200);
  assert.equal(provider.called(REFRESH).length, 1);
});

test("a session close to expiry is renewed unless the provider fails", async (t) => {
  const { worker, provider, cookie } = await withEndedSession(t);
  const session = sessionOf(cookie);
  session.identity.expires_at = Math.floor(Date.now() / 1000) + 50;
  const near = sealed(session);
  provider.up = false;
  const meanwhile = await worker.fetch("/", { headers: { cookie: near } });
  assert.equal(meanwhile.status, 200);
  assert.equal(meanwhile.headers.get("set-cookie"), null);
  assert.equal(provider.called(REFRESH).length, 1, "it was tried");
  provider.up = true;
  await until(async () => cookieOf(await worker.fetch("/", { headers: { cookie: near } })), "a new cookie");
});

test("short-lived access tokens are not renewed with every request", async (t) => {
  const worker = await startWorker(t);
  worker.provider.lifetime = 30;
  const cookie = await signIn(worker);
  for (let i = 0; i < 3; i += 1) {
    const answer = await worker.fetch("/", { headers: { cookie } });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("set-cookie"), null);
  }
  assert.equal(worker.provider.called(REFRESH).length, 0);
});

test("an expired session gets a 503 while the provider is down", async (t) => {
  const { worker, provider, cookie } = await withEndedSession(t);
  provider.up = false;
  const program = await worker.fetch("/api/bot", { headers: { cookie } });
  assert.equal(program.status, 503);
  assert.equal((await program.json()).code, "identity-provider-unavailable");
  assert.ok(program.headers.get("retry-after"));
  const person = await worker.fetch("/", { headers: { cookie, ...NAVIGATION } });
  assert.equal(person.status, 503);
  assert.match(await person.text(), /Sign-in cannot be checked right now/);
  assert.equal(person.headers.get("set-cookie"), null, "the session is kept");
  assert.equal(provider.called(REFRESH).length, 1, "it is not asked again at once");
  assert.deepEqual((await worker.record(ALICE)).starts, []);

  provider.up = true;
  await worker.later(cookie, 200);
});

test("a provider's retry delay is kept, and its refusal ends the session", async (t) => {
  const { worker, provider, cookie } = await withEndedSession(t);
  for (const status of [429, 409, 401]) {
    provider.answers = { [REFRESH]: status };
    await worker.later(cookie, 503);
  }
  provider.answers = { [REFRESH]: 400 };
  await worker.later(cookie, 401);
  provider.answers = {};
  const asked = provider.called(REFRESH).length;
  const away = await worker.fetch("/chat?x=1", { headers: { cookie, ...NAVIGATION } });
  assert.equal(away.status, 303);
  assert.equal(away.headers.get("location"), "/login?next=%2Fchat%3Fx%3D1");
  assert.equal(provider.called(REFRESH).length, asked, "nothing is left to ask with");
  assert.deepEqual((await worker.record(ALICE)).starts, []);
});

test("a renewal for another user or without proof is refused", async (t) => {
  const { worker, provider, cookie } = await withEndedSession(t);
  const good = provider.token;
  provider.token = (changes, key) => good({ ...changes, aud: "somebody" }, key);
  assert.equal((await worker.fetch("/", { headers: { cookie } })).status, 503);
  provider.token = (changes, key) => good({ ...changes, sub: "0d3cf1f6-1c5e-4f6b-8a43-5a2f7b7f9c11" }, key);
  await worker.later(cookie, 401);
  assert.deepEqual((await worker.record(ALICE)).starts, []);
});

test("signing out from our own page revokes the session at the provider", async (t) => {
  const worker = await startWorker(t);
  const cookie = await signIn(worker);
  const out = (origin) => worker.fetch("/auth/sign-out", { method: "POST", headers: { origin, cookie } });
  assert.equal((await out("https://evil.example")).status, 403);
  assert.equal(worker.provider.called("/logout").length, 0);

  const answer = await out(ORIGIN);
  assert.equal(answer.status, 303);
  assert.equal(answer.headers.get("location"), "/login");
  assert.match(answer.headers.get("set-cookie"), /^__Host-moltbot-session=; .*Max-Age=0/);
  const [call] = worker.provider.called("/logout?scope=local");
  assert.match(call.authorization, /^Bearer ey/);
  assert.equal((await worker.fetch("/", { headers: NAVIGATION })).headers.get("location"), "/login?next=%2F");
});

test("a copied cookie cannot be renewed after signing out", async (t) => {
  const { worker, provider, cookie } = await withEndedSession(t);
  provider.up = false;
  const out = await worker.fetch("/auth/sign-out", { method: "POST", headers: { origin: ORIGIN, cookie } });
  assert.equal(out.status, 303);
  provider.up = true;
  assert.equal((await worker.fetch("/", { headers: { cookie } })).status, 401);
});

test("an expired session is revoked at sign-out as well", async (t) => {
  const { worker, provider, cookie } = await withEndedSession(t);
  await worker.fetch("/auth/sign-out", { method: "POST", headers: { origin: ORIGIN, cookie } });
  assert.equal(provider.called(REFRESH).length, 1);
  assert.equal(provider.called("/logout?scope=local").length, 1);
});

test("each browser of a user has its own session", async (t) => {
  const worker = await startWorker(t);
  worker.provider.lifetime = -10;
  const first = await signIn(worker);
  const second = await signIn(worker);
  await worker.fetch("/auth/sign-out", { method: "POST", headers: { origin: ORIGIN, cookie: first } });
  assert.equal((await worker.fetch("/", { headers: { cookie: first } })).status, 401);
  assert.equal((await worker.fetch("/", { headers: { cookie: second } })).status, 200);
});

test("a user has at most 32 sessions and the least recently used one ends", async (t) => {
  const worker = await startWorker(t, { limits: { SIGN_IN_LIMIT: 1_000 } });
  worker.provider.lifetime = -10;
  const first = await signIn(worker);
  // Times are kept in seconds.
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  let last;
  for (let i = 0; i < 32; i += 1) last = await signIn(worker);
  assert.equal((await worker.fetch("/", { headers: { cookie: first } })).status, 401);
  assert.equal((await worker.fetch("/", { headers: { cookie: last } })).status, 200);
});
