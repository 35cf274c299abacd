// A browser's session on a domain of the bot's own: fetched from the platform's, good there and nowhere else.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Browser, form } from "./browser.mjs";
import { ALICE, ALICE_LOGIN, BOB, ORIGIN, startWorker } from "./harness.mjs";
import { REFRESH_GRANT } from "./provider.mjs";

const CLAW = "claw.example.org";
const PAW = "paw.example.org";
const CODE = /\/auth\/hand-over\?code=/;
const HERE = "__Host-moltbot-session";

/** Alice's bot is awake and has two domains; her browser is signed in on the platform. */
async function start(t) {
  const worker = await startWorker(t);
  for (const host of [CLAW, PAW]) await worker.giveDomain(ALICE, host);
  await worker.as(ALICE, "/");
  const browser = new Browser(worker);
  await browser.signIn(ORIGIN);
  return { worker, browser };
}

test("a signed-in browser reaches its page on the domain without a prompt", async (t) => {
  const { worker, browser } = await start(t);
  const { answer, url, path } = await browser.open(`https://${CLAW}/chat?session=main`);
  assert.equal(url, `https://${CLAW}/chat?session=main`, path.join(" → "));
  const seen = await answer.json();
  assert.equal(seen.headers.cookie, undefined, "no cookie of the platform's reaches the bot");
  assert.deepEqual([...browser.jar(CLAW).keys()].sort(), [HERE, "__Host-moltbot-verifier"]);
  const { served } = await worker.record(ALICE);
  assert.ok(!served.some(({ url }) => CODE.test(url)), "the bot never sees a code");
  assert.equal((await browser.open(`https://${CLAW}/`)).path.length, 1, "the next page is there at once");
});

test("a browser without a session signs in and reaches the requested page", async (t) => {
  const { worker } = await start(t);
  const browser = new Browser(worker);
  const login = await browser.open(`https://${CLAW}/chat`);
  assert.equal(new URL(login.url).origin + new URL(login.url).pathname, `${ORIGIN}/login`);
  const next = /name="next" value="([^"]+)"/.exec(await login.answer.text())[1].replaceAll("&amp;", "&");
  const signedIn = await browser.send(`${ORIGIN}/login`, form({ ...ALICE_LOGIN, next }));
  const arrived = await browser.open(new URL(signedIn.headers.get("location"), ORIGIN).href);
  assert.equal(arrived.url, `https://${CLAW}/chat`, arrived.path.join(" → "));
});

test("two tabs complete the session handoff at once", async (t) => {
  const { browser } = await start(t);
  const [one, two] = [await browser.open(`https://${CLAW}/one`, { stopAt: CODE }), await browser.open(`https://${CLAW}/two`, { stopAt: CODE })];
  for (const [tab, path] of [[one, "/one"], [two, "/two"]]) assert.equal((await browser.open(tab.next)).url, `https://${CLAW}${path}`);
});

test("a session of one host is refused on another", async (t) => {
  const { worker, browser } = await start(t);
  await browser.open(`https://${CLAW}/`);
  const here = browser.jar(CLAW).get(HERE);
  const platforms = [...browser.jar("bots.example.com")].map(([name, value]) => `${name}=${value}`).join("; ");
  for (const [host, cookie] of [
    [PAW, `${HERE}=${here}`],
    ["bots.example.com", `${HERE}=${here}`],
    [CLAW, platforms],
    [CLAW, `${HERE}=${here.slice(0, -2)}AA`],
    [CLAW, `${HERE}=${here}; ${HERE}=${here}`],
  ]) {
    const refused = await worker.fetch("/", { host, headers: { cookie } });
    assert.equal((await refused.json()).code, "sign-in-required", `${host} ${cookie.slice(0, 30)}`);
  }
});

test("a code is valid once, for its host, browser and owner, for a minute", async (t) => {
  const { worker, browser } = await start(t);
  const database = await worker.database();
  const fresh = async () => (await browser.open(`https://${CLAW}/`, { stopAt: CODE })).next;
  const refused = async (who, url) => {
    const { answer } = await who.open(url);
    assert.equal(answer.status, 403, url);
    assert.match(await answer.text(), /no longer valid/);
    return answer;
  };
  const stored = async () => (await database.prepare("SELECT * FROM crossings").all()).results;

  const used = await fresh();
  assert.ok(!JSON.stringify(await stored()).includes(new URL(used).searchParams.get("code")), "the database has only its hash");
  assert.equal((await browser.send(used)).status, 303);
  const again = await refused(browser, used);
  assert.deepEqual(again.headers.getSetCookie(), []);

  browser.jar(CLAW).delete(HERE);
  const stolen = await fresh();
  await refused(new Browser(worker), stolen);
  assert.equal((await browser.send(stolen)).status, 303, "who has no verifier cannot even use it up");

  browser.jar(CLAW).delete(HERE);
  const thief = new Browser(worker);
  await thief.open(`https://${CLAW}/`);
  await refused(thief, await fresh());

  const elsewhere = (await fresh()).replace(CLAW, PAW);
  await browser.open(`https://${PAW}/`, { stopAt: CODE });
  await refused(browser, elsewhere);

  const late = await fresh();
  await database.prepare("UPDATE crossings SET expires_at = ?").bind(Date.now() - 1).run();
  await refused(browser, late);
  const wait = await fresh();
  assert.equal((await stored()).length, 1, "codes nobody came back with are cleaned away");
  await worker.asAdmin("DELETE", `/api/admin/users/${ALICE}/domains`, { host: CLAW });
  await worker.giveDomain(BOB, CLAW);
  await refused(browser, wait);
});

test("the platform issues codes only for its caller's hosts", async (t) => {
  const { worker, browser } = await start(t);
  await worker.giveDomain(BOB, "bobs.example.org");
  const challenge = Buffer.alloc(32, 1).toString("base64url");
  for (const [query, code] of [
    [{ host: "bobs.example.org", challenge }, /somebody else/],
    [{ host: "nobodys.example.org", challenge }, /somebody else/],
    [{ host: "bots.example.com", challenge }, /somebody else/],
    [{ host: "evil.example/", challenge }, /no longer valid/],
    [{ host: CLAW }, /no longer valid/],
    [{ host: CLAW, challenge: "short" }, /no longer valid/],
    [{ challenge }, /no longer valid/],
  ]) {
    const { answer, next } = await browser.open(`${ORIGIN}/auth/hand-over?${new URLSearchParams(query)}`);
    assert.equal(answer.status, 403, JSON.stringify(query));
    assert.match(await answer.text(), code);
    assert.equal(next, undefined);
  }
  const program = await worker.as(ALICE, `/auth/hand-over?${new URLSearchParams({ host: CLAW, challenge })}`);
  assert.equal(program.status, 403, "a program has no use for one");
  const { results } = await (await worker.database()).prepare("SELECT * FROM crossings").all();
  assert.deepEqual(results, []);
  const astray = await browser.open(`${ORIGIN}/auth/hand-over?${new URLSearchParams({ host: CLAW, challenge, next: "//evil.example/" })}`, { stopAt: CODE });
  const { next } = await (await worker.database()).prepare("SELECT next FROM crossings").first();
  assert.equal(next, "/", "and they lead to a path of that host");
  assert.ok(astray.next.startsWith(`https://${CLAW}/`));
});

test("signing out from the domain's own page ends the session everywhere", async (t) => {
  const { worker, browser } = await start(t);
  for (const host of [CLAW, PAW]) await browser.open(`https://${host}/`);
  assert.match(await (await browser.send(`https://${CLAW}/auth/sign-out`)).text(), /Sign out\?/);
  for (const origin of [ORIGIN, `https://${PAW}`, "https://evil.example", "null"]) {
    const foreign = await browser.send(`https://${CLAW}/auth/sign-out`, { method: "POST", headers: { origin } });
    assert.equal(foreign.status, 403, origin);
  }
  assert.ok(browser.jar(CLAW).has(HERE));
  const kept = browser.jar("bots.example.com").get(HERE);
  const out = await browser.send(`https://${CLAW}/auth/sign-out`, { method: "POST", headers: { origin: `https://${CLAW}` } });
  assert.equal(out.status, 303);
  assert.ok(!browser.jar(CLAW).has(HERE));
  assert.match(await (await browser.send(`https://${CLAW}/auth/sign-out`)).text(), /You are signed out/);
  assert.equal((await worker.provider.called("/logout?scope=local")).length, 1, "the provider knows");

  assert.equal(browser.jar("bots.example.com").get(HERE), kept, "the platform's cookie is still there");
  const back = await browser.open(`https://${CLAW}/`);
  assert.equal(new URL(back.url).pathname, "/login", "and does not begin the session again");
  assert.ok(!browser.jar("bots.example.com").has(HERE));
});

test("an expired session is renewed on the domain without a prompt", async (t) => {
  const worker = await startWorker(t);
  await worker.giveDomain(ALICE, CLAW);
  await worker.as(ALICE, "/");
  const browser = new Browser(worker);
  await worker.provider.set({ token_lifetime: -10 }); // its tokens count, and their proof has ended
  await browser.signIn(ORIGIN);
  await browser.open(`https://${CLAW}/`);
  const before = browser.jar(CLAW).get(HERE);
  const renewals = async () => (await worker.provider.called(REFRESH_GRANT)).length;
  const spent = await renewals();
  await worker.provider.set({ token_lifetime: undefined });
  const script = { headers: { "sec-fetch-mode": "cors", accept: "*/*" } };
  assert.equal((await browser.send(`https://${CLAW}/`, script)).status, 200);
  assert.equal(await renewals(), spent + 1);
  assert.notEqual(browser.jar(CLAW).get(HERE), before);
  assert.equal((await browser.send(`https://${CLAW}/`, script)).status, 200);
  assert.equal(await renewals(), spent + 1, "the new cookie holds");
});

test("the domain refuses a suspended owner and any other user", async (t) => {
  const { worker, browser } = await start(t);
  await browser.open(`https://${CLAW}/`);
  await worker.asAdmin("POST", `/api/admin/users/${ALICE}/suspend`);
  const refused = await browser.send(`https://${CLAW}/`);
  assert.equal(refused.status, 403);
  assert.match(await refused.text(), /suspended/);
  await worker.giveDomain(BOB, "bobs.example.org");
  await worker.asAdmin("POST", `/api/admin/users/${ALICE}/activate`);
  const { answer } = await browser.open("https://bobs.example.org/");
  assert.equal(answer.status, 403);
  assert.match(await answer.text(), /somebody else/);
  assert.deepEqual((await worker.record(BOB)).starts, []);
});
