import assert from "node:assert/strict";
import { test } from "node:test";
import { ALICE, BOB, JWT_SECRET, startWorker, until } from "./harness.mjs";
import { esKey, hsKey, rsKey, sign, unsigned } from "./tokens.mjs";

const bearer = (token) => ({ headers: { authorization: `Bearer ${token}` } });

test("each algorithm Supabase signs with is accepted, each user gets their own Sandbox", async (t) => {
  const worker = await startWorker(t);
  const { provider } = worker;
  const keys = { ES256: provider.keys.es, RS256: provider.keys.rs, HS256: hsKey(JWT_SECRET) };
  for (const [name, key] of Object.entries(keys)) {
    const answer = await worker.fetch("/hello", bearer(provider.token({ sub: ALICE }, key)));
    assert.equal(answer.status, 200, name);
  }
  await worker.as(BOB, "/hello");
  const [alice, bob] = [await worker.record(ALICE), await worker.record(BOB)];
  assert.equal(alice.starts.length, 1);
  assert.equal(bob.starts.length, 1);
  assert.equal(alice.starts[0].env.MOLTBOT_USER_ID, ALICE);
  assert.equal(bob.starts[0].env.MOLTBOT_USER_ID, BOB);
  assert.notEqual(alice.starts[0].env.MOLTBOT_CONTROL_TOKEN, bob.starts[0].env.MOLTBOT_CONTROL_TOKEN);
});

test("a token that does not hold is refused and starts nothing", async (t) => {
  const worker = await startWorker(t);
  const { provider } = worker;
  const { es, rs } = provider.keys;
  const now = Math.floor(Date.now() / 1000);
  const publicPem = rs.publicKey.export({ type: "spki", format: "pem" });
  const good = provider.token({ sub: ALICE });
  const [head, body, signature] = good.split(".");
  const otherBody = provider.token({ sub: BOB }).split(".")[1];
  const claims = (changes) => provider.token({ sub: ALICE, ...changes });
  const refused = {
    "no dots": "token",
    empty: "",
    "alg none": unsigned(provider.claims({ sub: ALICE })),
    "alg none with a kid": unsigned(provider.claims({ sub: ALICE }), { kid: "es-1" }),
    "payload exchanged": `${head}.${otherBody}.${signature}`,
    "signature cut off": `${head}.${body}.`,
    "signature of zeros": `${head}.${body}.${Buffer.alloc(64).toString("base64url")}`,
    "signature of the wrong length": `${head}.${body}.${Buffer.alloc(3).toString("base64url")}`,
    "somebody else's key, our kid": sign(provider.claims({ sub: ALICE }), esKey("es-1")),
    "a kid nobody has": sign(provider.claims({ sub: ALICE }), esKey("unknown")),
    "no kid": sign(provider.claims({ sub: ALICE }), es, { kid: undefined }),
    "an RSA key under the EC key's name": sign(provider.claims({ sub: ALICE }), { ...rsKey("es-1") }),
    "HS256 signed with the public key": sign(provider.claims({ sub: ALICE }), hsKey(publicPem), { kid: "rs-1" }),
    "HS256 with the anon key as secret": sign(provider.claims({ sub: ALICE }), hsKey("anon-key")),
    "crit": sign(provider.claims({ sub: ALICE }), es, { crit: ["b64"], b64: false }),
    "its own key along": sign(provider.claims({ sub: ALICE }), es, { jwk: es.jwk }),
    expired: claims({ exp: now - 31 }),
    "not yet valid": claims({ nbf: now + 90 }),
    "wrong issuer": claims({ iss: "https://other.supabase.co/auth/v1" }),
    "no issuer": claims({ iss: undefined }),
    "wrong audience": claims({ aud: "anon" }),
    "the anon key": claims({ role: "anon", sub: undefined }),
    "the anon role": claims({ role: "anon" }),
    "the service key": claims({ role: "service_role" }),
    "no expiry": claims({ exp: undefined }),
    "a subject that is no UUID": claims({ sub: "undefined" }),
    "no subject": claims({ sub: undefined }),
    "an upper-case subject": claims({ sub: ALICE.toUpperCase() }),
    "an anonymous user": claims({ is_anonymous: true }),
  };
  for (const [name, token] of Object.entries(refused)) {
    const answer = await worker.fetch("/", bearer(token));
    assert.equal(answer.status, 401, name);
    const problem = await answer.json();
    assert.equal(problem.code, name === "expired" ? "token-expired" : "token-refused", name);
    assert.equal(problem.detail, undefined, name);
    assert.match(answer.headers.get("www-authenticate"), /error="invalid_token"/, name);
  }
  const nobody = await worker.fetch("/");
  assert.equal(nobody.status, 401);
  assert.equal((await nobody.json()).code, "sign-in-required");
  assert.equal(nobody.headers.get("www-authenticate"), 'Bearer realm="moltworker"');
  for (const headers of [{ authorization: good }, { authorization: `Basic ${good}` }, { cookie: `__Host-moltbot-session=${good}` }]) {
    assert.equal((await worker.fetch("/", { headers })).status, 401);
  }
  for (const user of [ALICE, BOB]) assert.deepEqual((await worker.record(user)).starts, []);
});

test("HS256 without a configured secret is refused", async (t) => {
  const worker = await startWorker(t, { without: ["SUPABASE_JWT_SECRET"] });
  const answer = await worker.fetch("/", bearer(worker.provider.token({ sub: ALICE }, hsKey(JWT_SECRET))));
  assert.equal((await answer.json()).code, "token-refused");
});

test("the provider is asked for its keys once, and again for a new one", async (t) => {
  const worker = await startWorker(t);
  const { provider } = worker;
  for (let i = 0; i < 5; i += 1) assert.equal((await worker.as(ALICE, "/")).status, 200);
  assert.equal(provider.asked, 1);
  // Strangers' key ids do not make the Worker ask: the last question is less than a minute old.
  for (let i = 0; i < 5; i += 1) {
    const token = sign(provider.claims({ sub: ALICE }), esKey(`made-up-${i}`));
    assert.equal((await worker.fetch("/", bearer(token))).status, 401);
  }
  assert.equal(provider.asked, 1);
  // And while the provider is down, known keys go on working.
  provider.up = false;
  assert.equal((await worker.as(ALICE, "/")).status, 200);
});

test("a provider that cannot be asked is our trouble, not the caller's", async (t) => {
  const worker = await startWorker(t);
  worker.provider.up = false;
  const answer = await worker.as(ALICE, "/");
  assert.equal(answer.status, 503);
  assert.equal((await answer.json()).code, "identity-provider-unavailable");
  assert.ok(answer.headers.get("retry-after"));
  const asked = worker.provider.asked;
  for (let i = 0; i < 5; i += 1) assert.equal((await worker.as(ALICE, "/")).status, 503);
  assert.equal(worker.provider.asked, asked, "the provider is not stampeded");
  worker.provider.up = true;
  await until(async () => (await worker.as(ALICE, "/")).status === 200, "the provider is asked again");
});
