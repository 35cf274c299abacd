import assert from "node:assert/strict";
import { test } from "node:test";
import { ALICE, ALICE_LOGIN, startWorker } from "./harness.mjs";
import { NAVIGATION, send } from "./browser.mjs";

test("a browser without a session is led to the sign-in page and back", async (t) => {
  const worker = await startWorker(t);
  const away = await worker.fetch("/chat?session=main", { headers: NAVIGATION });
  assert.equal(away.status, 303);
  const login = away.headers.get("location");
  assert.equal(login, "/login?next=%2Fchat%3Fsession%3Dmain");

  const page = await (await worker.fetch(login, { headers: NAVIGATION })).text();
  assert.match(page, /<form method="post" action="\/login"/);
  assert.match(page, /name="next" value="\/chat\?session=main"/);

  const done = await send(worker, { ...ALICE_LOGIN, next: "/chat?session=main" });
  assert.equal(done.status, 303);
  assert.equal(done.headers.get("location"), "/chat?session=main");
  const cookie = done.headers.get("set-cookie");
  assert.match(cookie, /^__Host-moltbot-session=[\w-]+; Path=\/; Max-Age=\d+; Secure; HttpOnly; SameSite=Lax$/);
  const written = "SELECT DISTINCT request_id FROM events WHERE user_id = ?";
  const { results } = await (await worker.database()).prepare(written).bind(ALICE).all();
  assert.deepEqual(results, [{ request_id: done.headers.get("x-request-id") }], "who became a user, and who signed in");
  const [call, ...more] = await worker.provider.calls();
  assert.deepEqual(more, []);
  assert.equal(call.apikey, worker.provider.anonKey);
  assert.deepEqual(call.body, ALICE_LOGIN);

  const session = cookie.split(";")[0];
  const bot = await (await worker.fetch("/chat", { headers: { cookie: `a=1; ${session}` } })).json();
  assert.equal(bot.headers.cookie, "a=1", "the session stays with the platform");
  assert.equal((await worker.record(ALICE)).starts.length, 1);

  const signedIn = await (await worker.fetch("/login", { headers: { ...NAVIGATION, cookie: session } })).text();
  assert.ok(signedIn.includes(ALICE_LOGIN.email), signedIn);
  assert.match(signedIn, /action="\/auth\/sign-out"/);
});

test("an unsealed session cookie is refused", async (t) => {
  const worker = await startWorker(t);
  const done = await send(worker, { ...ALICE_LOGIN, next: "/" });
  const value = /=([\w-]+);/.exec(done.headers.get("set-cookie"))[1];
  const flipped = (value[20] === "A" ? "B" : "A") + value.slice(21);
  for (const forged of [value.slice(0, 20) + flipped, value.slice(0, -4), "", "AAAA", "not base64!", value + "AAAA"]) {
    const answer = await worker.fetch("/", { headers: { cookie: `__Host-moltbot-session=${forged}` } });
    assert.equal(answer.status, 401, forged);
  }
  // A cookie does not change a bot's state.
  const sleep = await worker.fetch("/api/bot/sleep", { method: "POST", headers: { cookie: `__Host-moltbot-session=${value}` } });
  assert.equal((await sleep.json()).code, "bearer-required");
  assert.deepEqual((await worker.record(ALICE)).starts, []);
});

test("a wrong password shows the form again, without the password", async (t) => {
  const worker = await startWorker(t);
  const answer = await send(worker, { email: "a\"><script>@example.com", password: "wrong-secret", next: "/x" });
  assert.equal(answer.status, 401);
  assert.equal(answer.headers.get("set-cookie"), null);
  const page = await answer.text();
  assert.match(page, /role="alert">E-mail or password is wrong\./);
  assert.ok(!page.includes("wrong-secret") && !page.includes("<script>@"), page);
  assert.match(page, /name="next" value="\/x"/);
});

test("a cross-site or malformed form is refused", async (t) => {
  const worker = await startWorker(t);
  const foreign = await send(worker, ALICE_LOGIN, { origin: "https://evil.example" });
  assert.equal((await foreign.json()).code, "wrong-origin");
  for (const [fields, headers] of [
    [{}, {}],
    [{ email: ALICE_LOGIN.email }, {}],
    [ALICE_LOGIN, { "content-type": "application/json" }],
  ]) {
    const answer = await send(worker, fields, headers);
    assert.equal((await answer.json()).code, "bad-form");
  }
  assert.deepEqual(await worker.provider.calls(), []);
  const stranger = await send(worker, { ...ALICE_LOGIN, next: "https://evil.example/" });
  assert.equal(stranger.headers.get("location"), "/");
});

test("a provider outage is reported and the form keeps all but the password", async (t) => {
  const worker = await startWorker(t);
  await worker.provider.set({ down: true });
  const answer = await send(worker, ALICE_LOGIN);
  assert.equal(answer.status, 503);
  const page = await answer.text();
  assert.match(page, /not available right now/);
  assert.ok(page.includes(`value="${ALICE_LOGIN.email}"`), page);
});
