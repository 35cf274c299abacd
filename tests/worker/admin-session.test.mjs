// The session that a reload of the admin UI keeps: a cookie that opens nothing but the one endpoint that gives a token for it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../until.mjs";
import { ADMIN, ADMIN_CLAIMS, ALICE, ORIGIN, bearer, startWorker } from "./harness.mjs";

const BOT_DOMAIN = "claws.example.net";
const OWN = { origin: ORIGIN, "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty" };
const DAY = 24 * 60 * 60 * 1_000;
const AT = "/api/sign-in/session";

const start = (t, more = {}) => startWorker(t, { bindings: { BOT_DOMAIN }, ...more });

/** Signs an admin in as the page does, and has the session kept. */
async function begin(worker, claims = {}) {
  const token = worker.provider.token({ ...ADMIN_CLAIMS, ...claims });
  const answer = await worker.fetch("/api/admin/session", {
    method: "POST", headers: { ...bearer(token), "content-type": "application/json" }, body: JSON.stringify({ refresh_token: "spent-by-the-platform" }),
  });
  const set = answer.headers.get("set-cookie");
  return { status: answer.status, ...(await answer.json()), set, cookie: set?.split(";")[0], token };
}
const resume = (worker, headers, more = {}) => worker.fetch(AT, { method: "POST", headers: { ...OWN, ...headers }, ...more });
const told = async (worker, kind) => (await worker.asAdmin("GET", "/api/admin/events")).events.filter((event) => event.kind === kind && [event.user_id, event.actor].includes(ADMIN));

test("a reload of the admin UI gets a token for its cookie", async (t) => {
  const worker = await start(t);
  const { status, set, cookie, session, token } = await begin(worker);
  assert.equal(status, 200);
  assert.match(set, /^__Host-moltbot-admin-session=[\w-]+; Path=\/; Max-Age=43200; Secure; HttpOnly; SameSite=Strict$/);
  assert.deepEqual([session.user_id, session.access_token], [ADMIN, token]);
  const answer = await resume(worker, { cookie });
  const { session: resumed } = await answer.json();
  assert.equal(resumed.access_token, token);
  assert.ok(resumed.expires_at > Date.now());
  assert.equal((await worker.fetch("/api/admin/users", { headers: bearer(resumed.access_token) })).status, 200);
  assert.ok(!JSON.stringify(await (await resume(worker, { cookie })).json()).includes("spent-by-the-platform"));
  const [event] = await told(worker, "signed-in");
  assert.deepEqual([event.action, event.actor, event.detail], ["begin-admin-session", ADMIN, "the admin UI"]);
});

test("only a script of the platform's own pages gets a token for the cookie", async (t) => {
  const worker = await start(t);
  const { cookie } = await begin(worker);
  for (const [name, value] of [
    ["origin", `https://${ALICE}.${BOT_DOMAIN}`], ["origin", "null"], ["origin", undefined], ["sec-fetch-site", "same-site"], ["sec-fetch-site", "cross-site"],
    ["sec-fetch-site", "none"], ["sec-fetch-site", undefined], ["sec-fetch-mode", "navigate"], ["sec-fetch-mode", "no-cors"], ["sec-fetch-dest", "iframe"],
    ["sec-fetch-dest", undefined],
  ]) {
    const headers = Object.fromEntries(Object.entries({ ...OWN, cookie, [name]: value }).filter(([, given]) => given !== undefined));
    for (const method of ["POST", "DELETE"]) {
      const answer = await worker.fetch(AT, { method, headers });
      assert.deepEqual([answer.status, (await answer.json()).code], [403, "wrong-origin"], `${method} ${name}: ${value}`);
    }
  }
  const there = await resume(worker, { cookie, origin: `https://${ALICE}.${BOT_DOMAIN}` }, { host: `${ALICE}.${BOT_DOMAIN}` });
  assert.notEqual(there.status, 200, "a bot's host has no such endpoint");
});

test("the cookie opens nothing else, and no other cookie gets a token", async (t) => {
  const worker = await start(t);
  const { cookie } = await begin(worker);
  for (const path of ["/api/admin/users", "/api/bot"]) {
    const answer = await worker.fetch(path, { headers: { ...OWN, cookie } });
    assert.equal((await answer.json()).code, "sign-in-required", path);
  }
  const value = cookie.split("=")[1];
  const at = cookie.length - 10;
  const damaged = cookie.slice(0, at) + (cookie[at] === "A" ? "B" : "A") + cookie.slice(at + 1);
  for (const other of ["", `__Host-moltbot-session=${value}`, damaged, `${cookie}; ${cookie}`]) {
    assert.deepEqual(await (await resume(worker, { cookie: other })).json(), { session: null }, other);
  }
});

test("the session ends at sign-out, and after a day of work by itself", async (t) => {
  const worker = await start(t);
  const first = await begin(worker);
  const out = await worker.fetch(AT, { method: "DELETE", headers: { ...OWN, cookie: first.cookie } });
  assert.deepEqual([out.status, await out.json()], [200, { session: null }]);
  assert.match(out.headers.get("set-cookie"), /^__Host-moltbot-admin-session=; .*Max-Age=0/);
  assert.deepEqual(await (await resume(worker, { cookie: first.cookie })).json(), { session: null });
  await until(async () => (await told(worker, "signed-out")).length === 1, "the sign-out is in the history");

  const second = await begin(worker);
  await worker.ahead(DAY / 2 + 1_000);
  const late = await resume(worker, { cookie: second.cookie });
  assert.deepEqual(await late.json(), { session: null });
  await worker.ahead(0);
  assert.deepEqual(await (await resume(worker, { cookie: second.cookie })).json(), { session: null }, "its Sandbox has forgotten it");
});

test("only an admin keeps a session, with both factors and BOT_DOMAIN", async (t) => {
  const worker = await start(t);
  for (const [claims, code] of [[{ sub: ALICE, app_metadata: {} }, "not-an-admin"], [{ aal: "aal1" }, "second-factor-required"]]) {
    const refused = await begin(worker, claims);
    assert.deepEqual([refused.code, refused.set], [code, null]);
  }
  const shared = await start(t, { bindings: {} });
  const refused = await begin(shared);
  assert.deepEqual([refused.status, refused.code, refused.set], [404, "not-found", null]);
  assert.deepEqual(await (await resume(shared, {})).json(), { session: null });
});
