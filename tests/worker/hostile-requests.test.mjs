// Requests that want more than their sender may have. Each is refused with a stable code, in words that help nobody
// to try again better, and wakes no bot. Hostile tokens have a table of their own.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { NAVIGATION, Browser } from "./browser.mjs";
import { ADMIN, ALICE, BOB, HOST, ORIGIN, startWorker } from "./harness.mjs";
import { until } from "../until.mjs";

const CLAW = "claw.example.org";
const MALLORY = "bad00000-0000-4000-8000-000000000bad";
const SUSPENDED = "50500000-0000-4000-8000-000000000505";
const DELETED = "de1e7ed0-0000-4000-8000-00000000de1e";
// Whatever an answer says, it must not hold any of these.
const TELLTALE = /panicked|\.rs:|wasm|SELECT |D1_|sqlite|__Host-|Bearer ey|stack|openclaw-/i;

test("hostile requests are refused", async (t) => {
  const worker = await startWorker(t, { bindings: { SIGN_UP: "allow-list", ALLOW_LIST: `${ALICE},${BOB},${SUSPENDED},${DELETED}` } });
  await worker.giveDomain(ALICE, CLAW);
  for (const [user, verb] of [[SUSPENDED, "suspend"], [DELETED, "delete"]]) {
    await worker.call({ sub: user }, "GET", "/api/bot");
    assert.equal((await worker.asAdmin("POST", `/api/admin/users/${user}/${verb}`)).user_id, user);
  }
  const alice = new Browser(worker);
  await alice.signIn(ORIGIN);
  const cookie = [...alice.jar(HOST)].map(([name, value]) => `${name}=${value}`).join("; ");
  const bob = worker.bearer(BOB);
  const json = { "content-type": "application/json" };
  const admin = worker.adminBearer();
  const suspend = `/api/admin/users/${ALICE}/suspend`;
  const big = "x".repeat(17 * 1024);

  // What it is, the code, and the request: the host is the platform's unless it says another.
  const cases = [
    // Cookies where only a token counts.
    ["an admin's change with a cookie", "bearer-required", suspend, { method: "POST", headers: { cookie, origin: ORIGIN } }],
    ["an admin's list with a cookie", "bearer-required", "/api/admin/users", { headers: { cookie } }],
    ["an owner's order with a cookie", "bearer-required", "/api/bot/stop", { method: "POST", headers: { cookie, origin: ORIGIN } }],
    ["a domain claimed with a cookie", "bearer-required", "/api/bot/domains", { method: "POST", headers: { cookie, ...json }, body: `{"host":"x.example.org"}` }],
    ["a domain removed with a cookie", "bearer-required", "/api/bot/domains", { method: "DELETE", headers: { cookie, ...json }, body: `{"host":"${CLAW}"}` }],
    ["a token that does not hold beside a cookie that does", "token-refused", "/", { headers: { cookie, authorization: "Bearer x" } }],
    // People who may not.
    ["nobody", "sign-in-required", "/"],
    ["nobody, on a domain", "sign-in-required", "/", { host: CLAW }],
    ["a user as an admin", "not-an-admin", suspend, { method: "POST", headers: bob }],
    ["a user who lists users", "not-an-admin", "/api/admin/users", { headers: bob }],
    ["a user who allows a friend", "not-an-admin", "/api/admin/allow-list", { method: "POST", headers: { ...bob, ...json }, body: `{"entry":"${MALLORY}"}` }],
    ["a user who verifies a domain", "not-an-admin", `/api/admin/users/${BOB}/domains`, { method: "POST", headers: { ...bob, ...json }, body: `{"host":"${CLAW}"}` }],
    ["a role a user gave themselves", "not-an-admin", suspend, { method: "POST", headers: { authorization: `Bearer ${worker.provider.token({ sub: BOB, user_metadata: { role: "admin" } })}` } }],
    ["somebody who is not invited", "not-invited", "/", { headers: worker.bearer(MALLORY) }],
    ["somebody suspended", "account-suspended", "/", { headers: worker.bearer(SUSPENDED) }],
    ["somebody suspended, who wakes their bot", "account-suspended", "/api/bot/start", { method: "POST", headers: worker.bearer(SUSPENDED) }],
    ["somebody deleted", "account-deleted", "/", { headers: worker.bearer(DELETED) }],
    // Hosts.
    ["somebody else's domain", "not-your-bot", "/", { host: CLAW, headers: bob }],
    ["an admin on somebody else's domain", "not-your-bot", "/", { host: CLAW, headers: admin }],
    ["somebody else's domain by a forwarded host", "unknown-host", "/", { host: "evil.example", headers: { ...worker.bearer(ALICE), "x-forwarded-host": CLAW } }],
    ["a host that only ends like ours", "unknown-host", "/", { host: `evil${HOST}`, headers: worker.bearer(ALICE) }],
    ["a host that only begins like ours", "unknown-host", "/", { host: `${HOST}.evil.example`, headers: worker.bearer(ALICE) }],
    ["our host with another port", "unknown-host", "/", { host: `${HOST}:8443`, headers: worker.bearer(ALICE) }],
    ["our host with a dot behind it", "unknown-host", "/", { host: `${HOST}.`, headers: worker.bearer(ALICE) }],
    ["an address in place of a host", "unknown-host", "/", { host: "127.0.0.1", headers: worker.bearer(ALICE) }],
    ["the platform's cookie on a domain", "sign-in-required", "/", { host: CLAW, headers: { cookie } }],
    ["signing in on a domain", "not-found", "/login", { host: CLAW, method: "POST", headers: { origin: `https://${CLAW}` } }],
    ["an admin route on a domain", "not-found", "/api/admin/users", { host: CLAW, headers: admin }],
    ["an order on a domain", "not-found", "/api/bot/stop", { host: CLAW, method: "POST", headers: worker.bearer(ALICE) }],
    // Paths: a reserved name is the platform's in any spelling.
    ...["/Admin", "/%61dmin/x", "//admin", "/admin;x", "/admin%2fusers", "/x%2f..%2fadmin", "/admin/..%2fx", "/_repo/x", "/hooks", "/debug/cli?cmd=id", "/api/admin/bot", `/api/admin/users/${ALICE.toUpperCase()}`].map(
      (path) => [`the path ${path}`, "not-found", path, { headers: admin }],
    ),
    ["a path that climbs into a reserved one", "not-found", "/x/../admin/users", { headers: admin }],
    ["the same on a domain", "not-found", "/x/%2e%2e/login", { host: CLAW, headers: worker.bearer(ALICE) }],
    // Methods.
    ["a change by GET", "wrong-method", suspend, { headers: admin }],
    ["a change by HEAD", "wrong-method", "/api/bot/stop", { method: "HEAD", headers: worker.bearer(ALICE) }],
    ["a method in another header", "wrong-method", suspend, { headers: { ...admin, "x-http-method-override": "POST" } }],
    ["another site that asks what it may do", "wrong-method", suspend, { method: "OPTIONS", headers: { origin: "https://evil.example", "access-control-request-method": "POST", "access-control-request-headers": "authorization" } }],
    ["a hand-over by POST", "wrong-method", "/auth/hand-over?code=x", { host: CLAW, method: "POST" }],
    // Bodies.
    ["a body that is too long", "too-large", "/login", { method: "POST", headers: { origin: ORIGIN }, body: big }],
    ["a document that is too long", "too-large", "/api/admin/allow-list", { method: "POST", headers: { ...admin, ...json }, body: `{"entry":"${big}"}` }],
    ["a body nobody takes", "too-large", "/api/bot/stop", { method: "POST", headers: worker.bearer(ALICE), body: big }],
    ["a document that says it is a form", "bad-request", "/api/bot/domains", { method: "POST", headers: { ...worker.bearer(ALICE), "content-type": "text/plain" }, body: `{"host":"x.example.org"}` }],
    ["a document that is none", "bad-request", "/api/bot/domains", { method: "POST", headers: { ...worker.bearer(ALICE), ...json }, body: `{"host":` }],
    ["a name that is a statement", "bad-request", "/api/bot/domains", { method: "POST", headers: { ...worker.bearer(ALICE), ...json }, body: `{"host":"x'; DROP TABLE users; --.example.org"}` }],
  ];

  for (const [what, code, path, init] of cases) {
    await t.test(what, async () => {
      const answer = await worker.fetch(path, init);
      const text = await answer.text();
      // Of this one there is no body to read.
      if (init?.method === "HEAD") assert.equal(answer.status, 405);
      else {
        const problem = JSON.parse(text);
        assert.equal(problem.code, code, text);
        assert.equal(problem.status, answer.status);
        assert.equal(answer.headers.get("content-type"), "application/problem+json");
      }
      assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status}`);
      assert.doesNotMatch(text, TELLTALE);
      for (const name of [...answer.headers.keys()]) assert.doesNotMatch(name, /^(access-control-|x-moltbot-)/);
      assert.deepEqual(answer.headers.getSetCookie(), []);
    });
  }

  await t.test("a cross-site WebSocket is refused", async () => {
    for (const [host, origins] of [
      [HOST, ["https://evil.example", "null", `https://x.${HOST}`, `http://${HOST}`, `${ORIGIN}:8443`, `https://${CLAW}`, "x"]],
      [CLAW, ["https://evil.example", "null", ORIGIN, `https://x.${CLAW}`, `http://${CLAW}`]],
    ]) {
      for (const origin of origins) assert.equal(await worker.socket(ALICE, "/ws", origin, host), 403, `${origin} on ${host}`);
    }
    // An empty one arrives as none, which is a program's and not enough beside a cookie.
    await assert.rejects(worker.upgrade("/ws", { cookie, origin: "" }), /403/);
    assert.equal(await worker.socket(MALLORY, "/ws", ORIGIN), 403);
    assert.equal(await worker.socket(BOB, "/ws", `https://${CLAW}`, CLAW), 403);
  });

  await t.test("an endless body is refused", async () => {
    const { hostname, port } = worker.address;
    const socket = connect(Number(port), hostname);
    socket.write(`POST /login HTTP/1.1\r\nhost: ${HOST}\r\norigin: ${ORIGIN}\r\ntransfer-encoding: chunked\r\ncontent-type: application/x-www-form-urlencoded\r\n\r\n5\r\nemail\r\n`);
    let answer = "";
    socket.on("data", (data) => (answer += data));
    await until(() => /"code"/.test(answer), "it is answered");
    assert.match(answer, /^HTTP\/1\.1 400 [^]*"code":"bad-request"/);
    socket.destroy();
  });

  for (const user of [ALICE, BOB, ADMIN, MALLORY, SUSPENDED, DELETED]) {
    assert.deepEqual((await worker.record(user)).starts, [], `${user}'s bot was left asleep`);
  }
  const { users } = await worker.asAdmin("GET", "/api/admin/users");
  assert.deepEqual(users.find(({ user_id }) => user_id === ALICE)?.status, "active", "nothing was changed");
  assert.ok(!users.some(({ user_id }) => user_id === MALLORY));
});

test("an unauthenticated request reaches no Sandbox", async (t) => {
  const worker = await startWorker(t, { bindings: { BOT_DOMAIN: "claws.example.net" } });
  await worker.giveDomain(ALICE, CLAW);
  assert.deepEqual(await worker.asked(), [], "nobody has been here");
  const forged = { cookie: `__Host-moltbot-session=${"A".repeat(300)}; __Host-moltbot-sign-in=${"A".repeat(300)}` };
  const internal = { "x-moltbot-command": '"serve"', "x-moltbot-user": ALICE, "x-forwarded-user": ALICE };
  const expired = worker.provider.token({ sub: ALICE, exp: Math.floor(Date.now() / 1000) - 60 });
  const nobodies = [{}, NAVIGATION, forged, { ...forged, ...NAVIGATION }, internal, { authorization: `Bearer ${expired}` }, { authorization: "Basic eDp5" }];
  const paths = ["/", "/chat?session=main", "/v1/chat/completions", "/login", "/auth/callback?code=x&state=y", "/auth/hand-over?code=x",
    `/auth/hand-over?host=${CLAW}&challenge=${"A".repeat(43)}`, "/auth/sign-out", "/auth/sign-in/github", "/api/bot", "/api/bot/events", "/api/bot/domains",
    "/api/bot/start", "/api/bot/restart", "/api/admin/users", `/api/admin/bots/${ALICE}`, `/api/admin/bots/${ALICE}/suspend`,
    `/_repo/${ALICE}/config`, `/_repo/${ALICE}/token`, "/healthz", "/favicon.ico"];
  for (const host of [HOST, CLAW, `${ALICE}.claws.example.net`, "other.example.org"]) {
    for (const path of paths) {
      for (const headers of nobodies) {
        for (const method of ["GET", "POST"]) {
          const answer = await worker.fetch(path, { host, method, headers: { ...headers, ...(method === "POST" && { origin: `https://${host}` }) } });
          await answer.arrayBuffer();
        }
      }
      assert.deepEqual(await worker.asked(), [], `${path} on ${host}`);
    }
  }
  for (const origin of [ORIGIN, "https://evil.example"]) await assert.rejects(worker.upgrade("/ws", { ...forged, origin }), /401/);
  assert.deepEqual(await worker.asked(), []);
  // The count counts.
  await worker.as(ALICE, "/api/bot");
  assert.deepEqual(await worker.asked(), [[`openclaw-${ALICE}`, "status"]]);
});

test("platform headers sent by a client never arrive, on any host", async (t) => {
  const worker = await startWorker(t);
  await worker.giveDomain(ALICE, CLAW);
  const forged = {
    "x-moltbot-command": '{"order":{"by":"admin","order":"suspend"}}', "x-moltbot-client-ip": "203.0.113.66", "x-moltbot-anything": "1",
    "x-forwarded-user": BOB, "x-forwarded-for": "203.0.113.66", "x-forwarded-proto": "http", forwarded: "for=203.0.113.66",
    "x-real-ip": "203.0.113.66", "true-client-ip": "203.0.113.66", "cf-connecting-ip": "203.0.113.9",
  };
  for (const host of [HOST, CLAW]) {
    const answer = await worker.fetch("/", { host, headers: { ...worker.bearer(ALICE), ...forged } });
    assert.equal(answer.status, 200);
    const { headers } = await answer.json();
    assert.equal(headers["x-moltbot-command"], '"serve"');
    assert.equal(headers["x-moltbot-client-ip"], "203.0.113.9");
    for (const name of Object.keys(forged)) {
      if (!["x-moltbot-command", "x-moltbot-client-ip"].includes(name)) assert.equal(headers[name], undefined, `${name} on ${host}`);
    }
    const back = await worker.fetch("/forge", { host, headers: worker.bearer(ALICE) });
    assert.equal(back.headers.get("x-moltbot-state"), null);
    assert.deepEqual(back.headers.getSetCookie(), ["theme=dark", "tone=low"]);
  }
});
