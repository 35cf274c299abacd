// The second factor: who needs one, how it is asked for at sign-in, and how it is set up, against the local counterpart
// of Supabase Auth. The codes are made by totp.mjs, which shares nothing with it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ADMIN, ADMIN_CLAIMS, ALICE, ALICE_LOGIN, ORIGIN, startWorker } from "./harness.mjs";
import { Browser, NAVIGATION, cookieOf, form, send, signIn } from "./browser.mjs";
import { PENDING_COOKIE, sealed, sessionOf } from "./sealed.mjs";
import { codeOf } from "./totp.mjs";

const PAGE = "/login/second-factor";
const ADMIN_LOGIN = { email: "dev-admin@moltworker.test", password: "dev-admin-password" };

const wrong = (code) => (code === "000000" ? "000001" : "000000");

/** Sends the page's form with the cookie of a sign-in that waits. */
const post = (worker, cookie, fields, headers = {}) => worker.fetch(PAGE, form(fields, { cookie, ...headers }));

/** Signs in as far as the second factor; answers the cookie of the sign-in that waits. */
async function first(worker, fields) {
  const answer = await send(worker, fields);
  assert.equal(answer.status, 303, await answer.text());
  assert.equal(answer.headers.get("location"), PAGE);
  assert.equal(cookieOf(answer), undefined, "there is no session yet");
  return cookieOf(answer, PENDING_COOKIE);
}

/** Enrols an app in a sign-in that waits; answers its secret, and the cookie that waits for its first code. */
async function enrol(worker, waiting) {
  const page = await post(worker, waiting, { way: "begin" });
  assert.equal(page.status, 200);
  const html = await page.text();
  const secret = /<code id="key">([A-Z2-7]{32})<\/code>/.exec(html)[1];
  return { html, page, secret, cookie: cookieOf(page, PENDING_COOKIE) };
}

/** Signs in with a second factor that is set up on the way; answers its secret and the session's cookie. */
async function signInWithNewApp(worker, fields) {
  const { secret, cookie } = await enrol(worker, await first(worker, fields));
  const done = await post(worker, cookie, { code: codeOf(secret) });
  assert.equal(done.status, 303, await done.text());
  return { secret, done, session: cookieOf(done) };
}

test("an admin with one factor is refused where only an admin may go", async (t) => {
  const worker = await startWorker(t);
  const one = worker.provider.token({ ...ADMIN_CLAIMS, aal: "aal1" });
  for (const token of [one, worker.provider.token({ ...ADMIN_CLAIMS, aal: undefined })]) {
    const answer = await worker.fetch("/api/admin/users", { headers: { authorization: `Bearer ${token}` } });
    assert.equal(answer.status, 401);
    assert.match(answer.headers.get("www-authenticate"), /error="insufficient_user_authentication", acr_values="aal2"/);
    const { code, title } = await answer.json();
    assert.equal(code, "second-factor-required");
    assert.match(title, /sign in with a code of your authenticator app/);
  }
  assert.equal((await worker.fetch("/api/bot", { headers: { authorization: `Bearer ${one}` } })).status, 200, "their own bot");
  assert.equal((await worker.fetch("/api/admin/users", { headers: worker.adminBearer() })).status, 200);
  const refused = (await worker.asAdmin("GET", "/api/admin/events")).events.filter(({ kind }) => kind === "refused");
  assert.deepEqual(refused.map(({ code, actor }) => [code, actor]), [["second-factor-required", ADMIN]]);
});

test("admins by setting need a second factor as well", async (t) => {
  const worker = await startWorker(t, { bindings: { ADMIN_USER_IDS: ALICE } });
  assert.equal((await (await worker.as(ALICE, "/api/admin/users")).json()).code, "second-factor-required");
  assert.equal((await worker.call({ sub: ALICE, aal: "aal2" }, "GET", "/api/admin/users")).status, 200);
});

test("REQUIRE_MFA says who needs a second factor", async (t) => {
  for (const [setting, own, admins] of [["everyone", "second-factor-required", "second-factor-required"], ["nobody", undefined, undefined]]) {
    const worker = await startWorker(t, { bindings: { REQUIRE_MFA: setting } });
    assert.equal((await (await worker.as(ALICE, "/api/bot")).json()).code, own, setting);
    assert.equal((await worker.call({ ...ADMIN_CLAIMS, aal: "aal1" }, "GET", "/api/admin/users")).code, admins, setting);
    assert.equal((await worker.as(ALICE, "/")).status, own ? 401 : 200, setting);
    assert.equal((await worker.call({ sub: ALICE, aal: "aal2" }, "GET", "/api/bot")).code, undefined, setting);
    const socket = await worker.socket(ALICE, "/", ORIGIN);
    assert.equal(typeof socket === "number" ? socket : "open", own ? 401 : "open", setting);
    if (typeof socket !== "number") socket.terminate();
  }
});

test("an admin sets up an app at sign-in and signs in with its codes", async (t) => {
  const worker = await startWorker(t);
  const waiting = await first(worker, { ...ADMIN_LOGIN, next: "/chat" });
  for (const path of ["/", "/api/bot"]) {
    assert.equal((await worker.fetch(path, { headers: { cookie: waiting } })).status, 401, "a sign-in that waits reaches nothing");
  }
  const offer = await (await worker.fetch(PAGE, { headers: { ...NAVIGATION, cookie: waiting } })).text();
  assert.match(offer, /value="begin"/);
  const { html, page, secret, cookie } = await enrol(worker, waiting);
  assert.match(page.headers.get("content-security-policy"), /^default-src 'none'; .*; img-src data:$/);
  const svg = Buffer.from(/src="data:image\/svg\+xml;base64,([^"]+)"/.exec(html)[1], "base64").toString();
  assert.match(svg, /^<\?xml version="1\.0"\?><svg /);

  const bad = await post(worker, cookie, { code: wrong(codeOf(secret)) });
  assert.equal(bad.status, 401);
  assert.match(await bad.text(), /role="alert">The code is wrong or has expired\.[^]*name="code"/);
  assert.equal(cookieOf(bad), undefined);
  const code = codeOf(secret);
  const done = await post(worker, cookie, { code: ` ${code.slice(0, 3)} ${code.slice(3)} ` });
  assert.equal(done.status, 303);
  assert.equal(done.headers.get("location"), "/chat");
  assert.match(done.headers.getSetCookie().join("\n"), /__Host-moltbot-second-factor=; .*Max-Age=0/);
  assert.equal(sessionOf(cookieOf(done)).identity.mfa, true);
  assert.equal((await worker.fetch("/", { headers: { cookie: cookieOf(done) } })).status, 200);

  // From now on the code is asked for at once.
  const again = await first(worker, ADMIN_LOGIN);
  const asked = await (await worker.fetch(PAGE, { headers: { ...NAVIGATION, cookie: again } })).text();
  assert.match(asked, /name="code"/);
  assert.equal((await post(worker, again, { code: codeOf(secret) })).status, 303);
  const { events } = await worker.asAdmin("GET", `/api/admin/bots/${ADMIN}/events`);
  assert.deepEqual(events.filter(({ action }) => action === "prove-second-factor").map(({ kind, actor, status, detail }) => [kind, actor, status, detail]), [
    ["signed-in", "owner", 303, null],
    ["signed-in", "owner", 303, "with an authenticator app that was enrolled on the way"],
    ["refused", "owner", 401, null],
    ["changed", "owner", 200, "enrols an authenticator app"],
  ]);
});

test("a sign-in that stops before its second factor is in the history", async (t) => {
  const worker = await startWorker(t, { bindings: { REQUIRE_MFA: "everyone" } });
  await first(worker, ALICE_LOGIN);
  const query = "SELECT kind, actor, status, code FROM events WHERE action = 'sign-in' AND user_id = ? AND kind <> 'changed'";
  const { results } = await (await worker.database()).prepare(query).bind(ALICE).all();
  assert.deepEqual(results, [{ kind: "refused", actor: "owner", status: 401, code: "second-factor-required" }]);
});

test("whoever has an app is asked for its code, whatever the setting", async (t) => {
  const worker = await startWorker(t, { bindings: { REQUIRE_MFA: "nobody" } });
  const session = await signIn(worker);
  const page = await (await worker.fetch("/login", { headers: { ...NAVIGATION, cookie: session } })).text();
  assert.match(page, /href="\/login\/second-factor\?next=%2F">Protect this account/);
  // A session alone enrols nothing: a bot's page may run on this host.
  for (const fields of [{ way: "begin" }, { code: "123456" }]) {
    assert.equal((await post(worker, session, fields)).status, 400);
  }
  assert.deepEqual(await worker.provider.called("/factors"), []);
  const offer = await (await worker.fetch(PAGE, { headers: { ...NAVIGATION, cookie: session } })).text();
  assert.match(offer, /name="second_factor" value="yes"/);
  const { secret } = await signInWithNewApp(worker, { ...ALICE_LOGIN, second_factor: "yes" });
  const waiting = await first(worker, ALICE_LOGIN);
  assert.equal((await post(worker, waiting, { code: codeOf(secret) })).status, 303);
});

test("an enrolment that was broken off can be begun anew", async (t) => {
  const worker = await startWorker(t);
  const waiting = await first(worker, ADMIN_LOGIN);
  const before = await enrol(worker, waiting);
  const after = await enrol(worker, waiting);
  assert.notEqual(after.secret, before.secret);
  assert.notEqual((await post(worker, before.cookie, { code: codeOf(before.secret) })).status, 303, "the first one is gone");
  assert.equal((await post(worker, after.cookie, { code: codeOf(after.secret) })).status, 303);
});

test("a sign-in that waits is its browser's and ends", async (t) => {
  const worker = await startWorker(t);
  const waiting = await first(worker, ADMIN_LOGIN);
  const { secret, cookie } = await enrol(worker, waiting);
  const known = sessionOf(cookie, { purpose: PENDING_COOKIE });
  const over = { ...known, ends_at: Math.floor(Date.now() / 1000) - 1 };
  const refused = {
    "no cookie": "",
    "a cookie that is over": sealed(over, { name: PENDING_COOKIE }),
    "a cookie sealed by another key": sealed(known, { name: PENDING_COOKIE, key: Buffer.alloc(32, 8) }),
    "a cookie sealed as a session": sealed(known, { name: PENDING_COOKIE, purpose: "__Host-moltbot-session" }),
    "a session nobody has": sealed({ ...known, session: { ...known.session, id: "AAAAAAAAAAAAAAAAAAAAAA" } }, { name: PENDING_COOKIE }),
  };
  for (const [name, cookie] of Object.entries(refused)) {
    const answer = await post(worker, cookie, { code: codeOf(secret) });
    assert.equal(answer.status, 400, name);
    assert.equal(cookieOf(answer), undefined, name);
  }
  for (const headers of [{ origin: "https://evil.example" }, { "sec-fetch-mode": "cors" }]) {
    assert.equal((await (await post(worker, cookie, { code: codeOf(secret) }, headers)).json()).code, "wrong-origin");
  }
  assert.equal((await (await post(worker, cookie, {})).json()).code, "bad-form");
  assert.equal((await post(worker, cookie, { code: codeOf(secret) })).status, 303, "unbent it counts");
});

test("codes cannot be guessed, from however many sign-ins", async (t) => {
  const worker = await startWorker(t, { limits: { SIGN_IN_LIMIT: 1000 } });
  const { secret } = await signInWithNewApp(worker, ADMIN_LOGIN);
  const guess = async () => post(worker, await first(worker, ADMIN_LOGIN), { code: wrong(codeOf(secret)) });
  for (let i = 0; i < 5; i += 1) assert.equal((await guess()).status, 401, `guess ${i + 1}`);
  const stopped = await post(worker, await first(worker, ADMIN_LOGIN), { code: codeOf(secret) });
  assert.equal(stopped.status, 429);
  assert.match(await stopped.text(), /Too many wrong codes/);
  assert.equal((await worker.provider.called("/factors")).filter(({ path }) => path.endsWith("/verify")).length, 6);
  await worker.ahead(60 * 60 * 1000 + 1000);
  // The provider's tokens live for an hour as well, so this sign-in is after it.
  const later = await post(worker, await first(worker, ADMIN_LOGIN), { code: codeOf(secret) });
  assert.equal(later.status, 303, await later.text());
});

test("a failing provider at the second factor is told and changes nothing", async (t) => {
  const worker = await startWorker(t);
  const { secret } = await signInWithNewApp(worker, ADMIN_LOGIN);
  const waiting = await first(worker, ADMIN_LOGIN);
  for (const [overrides, status, words] of [
    [{ down: true }, 503, /not available right now/],
    [{ down: false, hold: false, answers: {} }, 303, undefined],
  ]) {
    await worker.provider.set(overrides);
    const answer = await post(worker, waiting, { code: codeOf(secret) });
    assert.equal(answer.status, status);
    if (words) assert.match(await answer.text(), words);
  }
});

test("with everyone asked, a browser with one factor is led to the second", async (t) => {
  const worker = await startWorker(t);
  const browser = new Browser(worker);
  await browser.signIn(ORIGIN);
  await worker.restart({ REQUIRE_MFA: "everyone" });
  const led = await browser.open(`${ORIGIN}/chat?session=main`);
  assert.equal(led.url, `${ORIGIN}/login/second-factor?next=%2Fchat%3Fsession%3Dmain`);
  assert.match(await led.answer.text(), /Sign in again[^]*name="next" value="\/chat\?session=main"/);
  const { done, session } = await signInWithNewApp(worker, { ...ALICE_LOGIN, next: "/chat?session=main", second_factor: "yes" });
  assert.equal(done.headers.get("location"), "/chat?session=main");
  assert.equal((await worker.fetch("/chat", { headers: { cookie: session } })).status, 200);
});

test("a renewed session keeps its second factor", async (t) => {
  const worker = await startWorker(t, { bindings: { REQUIRE_MFA: "everyone" } });
  // It is renewed in its last minute, though not within ten seconds.
  await worker.provider.set({ token_lifetime: 40 });
  const { session } = await signInWithNewApp(worker, ALICE_LOGIN);
  await worker.ahead(15 * 1000);
  await worker.provider.set({ token_lifetime: null });
  const { id } = sessionOf(session);
  const answer = await worker.fetch("/", { headers: { cookie: session } });
  assert.equal(answer.status, 200);
  const renewed = sessionOf(cookieOf(answer));
  assert.deepEqual([renewed.id, renewed.identity.mfa], [id, true]);
});
