// Signing in by way of another site: an OAuth provider, or a link in a mail. What comes back counts only in the
// browser that asked.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { ALICE, ALICE_LOGIN, ORIGIN, startWorker } from "./harness.mjs";
import { NAVIGATION, cookieOf, send, signIn } from "./browser.mjs";
import { CODE_GRANT } from "./provider.mjs";
import { FLOW_COOKIE, sealed } from "./sealed.mjs";

const OFFERED = { bindings: { OAUTH_PROVIDERS: "github,google" } };

/** Begins a sign-in at GitHub, as the page's own link does, and goes through its page to the way back. */
async function begin(worker, next = "/chat?session=main") {
  const path = `/auth/sign-in/github?next=${encodeURIComponent(next)}`;
  const away = await worker.fetch(path, { headers: { ...NAVIGATION, "sec-fetch-site": "same-origin" } });
  assert.equal(away.status, 303);
  const to = new URL(away.headers.get("location"));
  const callback = await worker.provider.authorize(to);
  return { to, callback, cookie: cookieOf(away, FLOW_COOKIE), line: away.headers.get("set-cookie") };
}

function back(worker, callback, cookie) {
  return worker.fetch(callback.pathname + callback.search, { headers: { ...NAVIGATION, ...(cookie && { cookie }) } });
}

function changed(callback, name, value) {
  const other = new URL(callback);
  if (value === undefined) other.searchParams.delete(name);
  else other.searchParams.set(name, value);
  return other;
}

test("a provider sign-in leads to the requested page", async (t) => {
  const worker = await startWorker(t, OFFERED);
  const page = await (await worker.fetch("/login?next=%2Fchat%3Fsession%3Dmain", { headers: NAVIGATION })).text();
  assert.match(page, /href="\/auth\/sign-in\/github\?next=%2Fchat%3Fsession%3Dmain"[^>]*>Continue with GitHub</);
  assert.match(page, /Continue with Google/);

  const { to, callback, cookie, line } = await begin(worker);
  assert.equal(to.origin + to.pathname, `${worker.provider.issuer}/authorize`);
  assert.equal(to.searchParams.get("provider"), "github");
  assert.equal(to.searchParams.get("code_challenge_method"), "s256");
  assert.match(to.searchParams.get("code_challenge"), /^[\w-]{43}$/);
  assert.equal(callback.origin + callback.pathname, `${ORIGIN}/auth/callback`);
  assert.match(line, /^__Host-moltbot-sign-in=[\w-]+; Path=\/; Max-Age=3600; Secure; HttpOnly; SameSite=Lax$/);

  const done = await back(worker, callback, cookie);
  assert.equal(done.status, 303, await done.text());
  assert.equal(done.headers.get("location"), "/chat?session=main");
  assert.match(done.headers.getSetCookie().join("\n"), /__Host-moltbot-sign-in=; .*Max-Age=0/);
  const [{ body }] = await worker.provider.called(CODE_GRANT);
  assert.equal(createHash("sha256").update(body.code_verifier).digest("base64url"), to.searchParams.get("code_challenge"));
  assert.equal((await worker.fetch("/", { headers: { cookie: cookieOf(done) } })).status, 200);
});

test("a callback is accepted once and only in the browser that began it", async (t) => {
  const worker = await startWorker(t, OFFERED);
  const mine = await begin(worker);
  const theirs = await begin(worker);
  const now = Math.floor(Date.now() / 1000);
  const flow = (changes) => {
    const state = mine.callback.searchParams.get("state");
    return sealed({ state, verifier: "v".repeat(43), next: "/", ends_at: now + 60, ...changes }, { name: FLOW_COOKIE });
  };
  const someone = await signIn(worker);
  const refused = {
    "no cookie": [mine.callback, undefined],
    "somebody else's cookie": [mine.callback, theirs.cookie],
    "somebody else's state": [changed(mine.callback, "state", theirs.callback.searchParams.get("state")), mine.cookie],
    "no state": [changed(mine.callback, "state"), mine.cookie],
    "an empty state": [changed(mine.callback, "state", ""), mine.cookie],
    "a cookie cut short": [mine.callback, mine.cookie.slice(0, -3)],
    "a cookie that is over": [mine.callback, flow({ ends_at: now - 1 })],
    "a cookie sealed by another key": [mine.callback, sealed({}, { name: FLOW_COOKIE, key: Buffer.alloc(32, 8) })],
    "a session cookie in its place": [mine.callback, `${FLOW_COOKIE}=${someone.split("=")[1]}`],
    "two cookies": [mine.callback, `${mine.cookie}; ${theirs.cookie}`],
  };
    for (const [name, [callback, cookie]] of Object.entries(refused)) {
    const page = await back(worker, callback, cookie);
    assert.equal(page.status, 400, name);
    assert.equal(cookieOf(page), undefined, name);
    assert.match(await page.text(), /role="alert">This sign-in was not started in this browser/, name);
    const path = callback.pathname + callback.search;
    const program = await worker.fetch(path, { headers: cookie ? { cookie } : {} });
    assert.equal((await program.json()).code, "sign-in-not-started", name);
  }
  assert.deepEqual(await worker.provider.called(CODE_GRANT), [], "no code was spent on them");

  assert.equal((await back(worker, mine.callback, mine.cookie)).status, 303);
  const again = await back(worker, mine.callback, mine.cookie);
  assert.equal(again.status, 401, "the provider takes a code once");
  assert.equal(cookieOf(again), undefined);
  // Codes changed between two browsers do not fit the verifier.
  const swapped = changed(theirs.callback, "code", "made-up");
  assert.equal((await back(worker, swapped, theirs.cookie)).status, 401);
  for (const user of [ALICE]) assert.deepEqual((await worker.record(user)).starts, []);
});

test("a provider's refusal is shown as the platform's message", async (t) => {
  const worker = await startWorker(t, OFFERED);
  for (const [query, words] of [
    ["error=access_denied&error_description=Send+money+to+evil.example", /The other site did not sign you in/],
    ["error=access_denied&error_code=otp_expired&error_description=x", /The link has expired or was used before/],
    ["", /not started in this browser/],
  ]) {
    const page = await (await worker.fetch(`/auth/callback?${query}`, { headers: NAVIGATION })).text();
    assert.match(page, words);
    assert.ok(!page.includes("evil.example"));
  }
});

test("a sign-in is begun by our own page, at a provider that is offered", async (t) => {
  const worker = await startWorker(t, OFFERED);
  for (const site of ["cross-site", "same-site", "none"]) {
    const answer = await worker.fetch("/auth/sign-in/github", { headers: { ...NAVIGATION, "sec-fetch-site": site } });
    assert.equal(answer.headers.get("location"), "/login", site);
    assert.equal(answer.headers.get("set-cookie"), null, site);
  }
  assert.equal((await worker.fetch("/auth/sign-in/gitlab", { headers: NAVIGATION })).status, 404);
  const stranger = await begin(worker, "https://evil.example/");
  const done = await back(worker, stranger.callback, stranger.cookie);
  assert.equal(done.headers.get("location"), "/");
});

test("a mailed link signs in the browser that asked for it", async (t) => {
  const worker = await startWorker(t);
  const asked = await send(worker, { email: ALICE_LOGIN.email, way: "link", next: "/chat" });
  assert.equal(asked.status, 200);
  const page = await asked.text();
  assert.ok(page.includes(ALICE_LOGIN.email), page);
  assert.match(page, / has an account here, a mail is on its way/);
  const [{ body }] = await worker.provider.called("/otp");
  assert.equal(body.email, ALICE_LOGIN.email);
  assert.equal(body.create_user, false);
  assert.equal(body.code_challenge_method, "s256");

  const callback = await worker.provider.openLink(await worker.provider.mailTo(ALICE_LOGIN.email));
  assert.equal((await back(worker, callback)).status, 400, "another browser");
  const done = await back(worker, callback, cookieOf(asked, FLOW_COOKIE));
  assert.equal(done.headers.get("location"), "/chat");
  assert.ok(cookieOf(done));
});

test("the code in the mail works in any browser", async (t) => {
  const worker = await startWorker(t);
  const fields = { email: ALICE_LOGIN.email, way: "code", next: "/chat" };
  await send(worker, { ...fields, way: "link" });
  const { code } = await worker.provider.mailTo(ALICE_LOGIN.email);
  const wrong = await send(worker, { ...fields, code: code === "000000" ? "000001" : "000000" });
  assert.equal(wrong.status, 401);
  assert.match(await wrong.text(), /role="alert">The code is wrong or has expired\.[^]*name="code"/);
  const done = await send(worker, { ...fields, code: ` ${code.slice(0, 3)} ${code.slice(3)} ` });
  assert.equal(done.headers.get("location"), "/chat");
  assert.ok(cookieOf(done));
  const foreign = await send(worker, { ...fields, code }, { origin: "https://evil.example" });
  assert.equal((await foreign.json()).code, "wrong-origin");
});

test("sign-in does not reveal which accounts exist", async (t) => {
  const worker = await startWorker(t);
  const pages = [];
  for (const status of [200, 400, 422, 429]) {
    await worker.provider.set({ answers: { "/otp": status } });
    const answer = await send(worker, { email: "somebody@example.com", way: "link" });
    assert.equal(answer.status, 200);
    pages.push((await answer.text()).replace(/nonce="[^"]*"/g, ""));
  }
  assert.equal(new Set(pages).size, 1);
  await worker.provider.set({ answers: {}, down: true });
  const down = await send(worker, { email: "somebody@example.com", way: "link" });
  assert.equal(down.status, 503);
});
