// Every way we know to forge, bend or replay what proves a caller, through the real Worker. Each is refused with a
// stable code, says nothing an attacker can use, and starts nothing.
import assert from "node:assert/strict";
import { generateKeyPairSync, sign as cryptoSign } from "node:crypto";
import { test } from "node:test";
import { ADMIN, ALICE, ALICE_LOGIN, BOB, startWorker } from "./harness.mjs";
import { cookieOf, send, signIn } from "./browser.mjs";
import { SESSION_COOKIE, sealed, sessionOf } from "./sealed.mjs";
import { esKey, hsKey, part, rsKey, sign, unsigned } from "./tokens.mjs";

/** A token with just this header and payload text, signed with a good key. */
function raw(header, payload, key) {
  const text = `${part(header)}.${part(payload)}`;
  const signature = cryptoSign("sha256", Buffer.from(text), { key: key.privateKey, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

function hostile({ provider }) {
  const { es, rs, hs } = provider.keys;
  const now = Math.floor(Date.now() / 1000);
  const alice = provider.claims({ sub: ALICE });
  const claims = (changes, key) => provider.token({ sub: ALICE, ...changes }, key);
  const good = claims({});
  const [head, body, signature] = good.split(".");
  const header = (changes, key = es) => sign(alice, key, changes);
  const json = JSON.stringify(alice);
  const pem = (key) => key.publicKey.export({ type: "spki", format: "pem" });
  const der = rs.publicKey.export({ type: "spki", format: "der" });
  const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
  const expired = Symbol.for("token-expired");
  return {
    // Text that is no token.
    "no dots": "token",
    "one dot": "a.b",
    "only dots": "..",
    "four parts": `${good}.x`,
    "five parts, as an encrypted token": `${head}.${body}.${signature}.x.y`,
    "trailing data": `${good}AAAA`,
    "trailing newline inside": `${head}.${body}\t.${signature}`,
    "padding in the header": `${head}==.${body}.${signature}`,
    "plain base64 alphabet": `${head}.${body}.${Buffer.alloc(64, 0xff).toString("base64")}`,
    "not base64": `${head}.%%%%.${signature}`,
    "header is no JSON": raw("{", alice, es),
    "header is a list": raw([], alice, es),
    "payload is a string": raw({ alg: "ES256", kid: es.kid }, '"x"', es),
    "payload is null": raw({ alg: "ES256", kid: es.kid }, "null", es),
    "payload is another token": raw({ alg: "ES256", kid: es.kid, cty: "JWT" }, good, es),
    "payload is not UTF-8": `${head}.${Buffer.from([0xff, 0xfe]).toString("base64url")}.${signature}`,
    "a claim twice": raw({ alg: "ES256", kid: es.kid }, json.replace("{", `{"sub":"${BOB}",`), es),
    "a header member twice": raw(`{"alg":"ES256","alg":"ES256","kid":"${es.kid}"}`, alice, es),
    "32 KB of claims": claims({ filler: "x".repeat(32_000) }),
    "5,000 claims": claims(Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`c${i}`, i]))),
    "nested 4,000 deep": raw({ alg: "ES256", kid: es.kid }, json.replace('"app_metadata":{', `"app_metadata":{"role":${"[".repeat(4_000)}${"]".repeat(4_000)},`), es),
    // Algorithms and keys.
    ...Object.fromEntries(["none", "None", "NONE", "nOnE", "", " none"].map((alg) => [`alg ${JSON.stringify(alg)}`, unsigned(alice, { alg, kid: es.kid })])),
    "alg none with a good signature": `${part({ alg: "none", kid: es.kid })}.${body}.${signature}`,
    "alg missing": raw({ kid: es.kid }, alice, es),
    "alg of the wrong type": raw({ alg: ["ES256"], kid: es.kid }, alice, es),
    "alg in lower case": header({ alg: "es256" }),
    ...Object.fromEntries(["HS384", "HS512", "RS512", "PS256", "ES384", "EdDSA"].map((alg) => [`alg ${alg}`, header({ alg })])),
    "ES384 key": raw({ alg: "ES256", kid: es.kid }, alice, p384),
    "HS256 signed with the public key": sign(alice, hsKey(pem(rs)), { kid: rs.kid }),
    "HS256 signed with the public key in DER": sign(alice, hsKey(der), { kid: rs.kid }),
    "HS256 signed with the EC public key": sign(alice, hsKey(pem(es)), { kid: es.kid }),
    "HS256 signed with the anon key": sign(alice, hsKey(provider.anonKey)),
    "HS256 signed with nothing": sign(alice, hsKey(Buffer.alloc(0))),
    "HS256 with the secret's case changed": sign(alice, hsKey(hs.secret.toUpperCase())),
    "RS256 under the EC key's name": header({ kid: es.kid }, rs),
    "ES256 under the RSA key's name": header({ kid: rs.kid }),
    "somebody else's key, our kid": sign(alice, esKey(es.kid)),
    "somebody else's RSA key, our kid": sign(alice, rsKey(rs.kid)),
    "a kid nobody has": sign(alice, esKey("unknown")),
    "a kid that two keys have": sign(alice, provider.twins[0]),
    "no kid": header({ kid: undefined }),
    "a kid of the wrong type": raw({ alg: "ES256", kid: 1 }, alice, es),
    "a kid that is a path": header({ kid: "../../dev/null" }),
    crit: header({ crit: ["b64"], b64: false }),
    "crit that is empty": header({ crit: [] }),
    "its own key along": header({ jwk: es.jwk }),
    "its own key set along": header({ jku: "https://evil.example/jwks" }),
    "its own certificate along": header({ x5u: "https://evil.example/cert" }),
    compressed: header({ zip: "DEF" }),
    "another type": header({ typ: "at+jwt" }),
    "an ID token's payload exchanged": `${head}.${part(provider.claims({ sub: BOB }))}.${signature}`,
    "signature cut off": `${head}.${body}.`,
    "signature cut short": `${head}.${body}.${signature.slice(0, -4)}`,
    "signature of zeros": `${head}.${body}.${Buffer.alloc(64).toString("base64url")}`,
    "signature in DER": `${head}.${body}.${cryptoSign("sha256", Buffer.from(`${head}.${body}`), es.privateKey).toString("base64url")}`,
    // Claims.
    ...Object.fromEntries(["iss", "sub", "aud", "role", "exp"].map((name) => [`no ${name}`, claims({ [name]: undefined })])),
    ...Object.fromEntries(["iss", "sub", "aud", "role", "exp"].map((name) => [`${name} null`, claims({ [name]: null })])),
    ...Object.fromEntries(["iss", "sub", "role", "exp", "nbf", "iat"].map((name) => [`${name} of the wrong type`, claims({ [name]: { x: 1 } })])),
    "another project's issuer": claims({ iss: "https://other.supabase.co/auth/v1" }),
    "issuer with a slash more": claims({ iss: `${provider.issuer}/` }),
    "issuer in capitals": claims({ iss: provider.issuer.toUpperCase() }),
    "issuer as a list": claims({ iss: [provider.issuer] }),
    "another audience": claims({ aud: "anon" }),
    "an audience list without ours": claims({ aud: ["anon", "Authenticated"] }),
    "an empty audience list": claims({ aud: [] }),
    "a nested audience list": claims({ aud: [["authenticated"]] }),
    "the provider's anon key": provider.anonKey,
    "the anon key": sign({ iss: "supabase", ref: "abcd", role: "anon", iat: now - 60, exp: now + 3e8 }, hs),
    "the service key": sign({ iss: "supabase", ref: "abcd", role: "service_role", iat: now - 60, exp: now + 3e8 }, hs),
    "the anon role": claims({ role: "anon" }),
    "the service role": claims({ role: "service_role" }),
    "the service role of an admin": claims({ role: "service_role", app_metadata: { role: "admin" } }),
    "the role in capitals": claims({ role: "AUTHENTICATED" }),
    "an anonymous user": claims({ is_anonymous: true }),
    "anonymity as text": claims({ is_anonymous: "false" }),
    "another app's, by Supabase's OAuth server": claims({ client_id: "9a8b7c6d-5e4f-4a2b-9c0d-9e8f7a6b5c4d" }),
    "another app's, of an admin": claims({ client_id: "9a8b7c6d-5e4f-4a2b-9c0d-9e8f7a6b5c4d", app_metadata: { role: "admin" } }),
    "an app without a name": claims({ client_id: "" }),
    "an app named by a list": claims({ client_id: ["9a8b7c6d-5e4f-4a2b-9c0d-9e8f7a6b5c4d"] }),
    "a publishable API key": "sb_publishable_ACJWlzQHlZjBrEguHvfOxg_3BJgxAaH",
    "a secret API key": "sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz",
    "a subject that is no UUID": claims({ sub: "undefined" }),
    "a subject in capitals": claims({ sub: ALICE.toUpperCase() }),
    "a subject in braces": claims({ sub: `{${ALICE}}` }),
    "a subject with a space": claims({ sub: `${ALICE} ` }),
    "a subject with a path": claims({ sub: `${ALICE}/../${BOB}` }),
    "a subject with a zero byte": claims({ sub: `${ALICE}\0` }),
    "a subject in look-alikes": claims({ sub: ALICE.replace("e", "е") }),
    "a subject of zeros": claims({ sub: "00000000-0000-0000-0000-000000000000" }),
    "a Sandbox's name as subject": claims({ sub: `openclaw-${ALICE}` }),
    expired: [claims({ exp: now - 31 }), expired],
    "expired long ago": [claims({ exp: 0 }), expired],
    "an expiry below zero": claims({ exp: -1 }),
    "an expiry with a fraction": claims({ exp: now + 60.5 }),
    "an expiry as text": claims({ exp: String(now + 60) }),
    "an expiry beyond all numbers": raw({ alg: "ES256", kid: es.kid }, json.replace(/"exp":\d+/, '"exp":1e400'), es),
    "an expiry that fills 64 bits": raw({ alg: "ES256", kid: es.kid }, json.replace(/"exp":\d+/, '"exp":18446744073709551615'), es),
    "an expiry in a year": claims({ exp: now + 365 * 24 * 3600 }),
    "not yet valid": claims({ nbf: now + 90 }),
    "issued in the future": claims({ iat: now + 90 }),
  };
}

test("hostile tokens are refused", async (t) => {
  const worker = await startWorker(t);
  const { provider } = worker;
  provider.twins = [esKey("twin"), esKey("twin")];
  await provider.publish(provider.keys.es, provider.keys.rs, ...provider.twins);
  const cases = Object.entries(hostile(worker));
  assert.ok(cases.length >= 100, `${cases.length} cases`);
  for (const [name, entry] of cases) {
    const [token, code = Symbol.for("token-refused")] = [entry].flat();
    const answer = await worker.fetch("/", { headers: { authorization: `Bearer ${token}` } });
    assert.equal(answer.status, 401, name);
    const { title, ...problem } = await answer.json();
    assert.deepEqual(problem, { type: "about:blank", status: 401, code: Symbol.keyFor(code) }, name);
    assert.match(title, /^The access token (is not accepted|has expired; get a new one)\.$/, name);
    assert.equal(answer.headers.get("www-authenticate"), 'Bearer realm="moltworker", error="invalid_token"', name);
    assert.equal(answer.headers.get("set-cookie"), null, name);
  }
  assert.deepEqual(await worker.asked(), [], "no Sandbox ever heard of any");
  // The same key, the same claims, nothing bent: the table tests what it says.
  for (const key of Object.values(provider.keys)) {
    assert.equal((await worker.fetch("/api/bot", { headers: { authorization: `Bearer ${provider.token({ sub: ALICE }, key)}` } })).status, 200);
  }
  for (const user of [ALICE, BOB]) assert.deepEqual((await worker.record(user)).starts, []);
});

test("oversized tokens are refused", async (t) => {
  const worker = await startWorker(t);
  const { provider } = worker;
  const many = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`c${i}`, i]));
  for (const token of [provider.token({ sub: ALICE, filler: "x".repeat(1 << 20) }), provider.token({ sub: ALICE, ...many })]) {
    // workerd itself may end the connection; what counts is that nothing is let in.
    const status = await worker.fetch("/", { headers: { authorization: `Bearer ${token}` } }).then((answer) => answer.status, () => "ended");
    assert.ok([401, 413, 431, 400, "ended"].includes(status), status);
  }
  assert.deepEqual((await worker.record(ALICE)).starts, []);
  assert.equal((await worker.as(ALICE, "/api/bot")).status, 200, "and it goes on");
});

test("hostile headers are refused", async (t) => {
  const worker = await startWorker(t);
  const good = worker.provider.token({ sub: ALICE });
  const cookie = await signIn(worker);
  const refused = {
    "another scheme": { authorization: `Basic ${good}` },
    "no scheme": { authorization: good },
    "two tokens": { authorization: `Bearer ${good}, Bearer ${good}` },
    "a token in the query's place": { authorization: "Bearer" },
    "a bad token beside a good cookie": { authorization: "Bearer x", cookie },
    "an empty token beside a good cookie": { authorization: "Bearer ", cookie },
    "a token as cookie": { cookie: `${SESSION_COOKIE}=${good}` },
    "a token in another header": { "x-authorization": `Bearer ${good}` },
    "an internal header": { "x-moltbot-command": '"serve"', "x-moltbot-user": ALICE },
    "somebody's forwarded user": { "x-forwarded-user": ALICE },
  };
  for (const [name, headers] of Object.entries(refused)) {
    const answer = await worker.fetch("/", { headers });
    assert.equal(answer.status, 401, name);
    assert.equal((await answer.json()).code, headers.authorization === undefined ? "sign-in-required" : "token-refused", name);
  }
  assert.equal((await worker.fetch(`/?access_token=${good}`)).status, 401);
  assert.deepEqual((await worker.record(ALICE)).starts, []);
});

test("hostile cookies are refused", async (t) => {
  const worker = await startWorker(t);
  const cookie = await signIn(worker);
  const value = cookie.split("=")[1];
  const session = sessionOf(cookie);
  const other = { ...session, identity: { ...session.identity, user: BOB } };
  const flipped = (at) => `${SESSION_COOKIE}=${value.slice(0, at)}${value[at] === "A" ? "B" : "A"}${value.slice(at + 1)}`;
  const ended = (changes) => sealed({ ...session, ...changes, identity: { ...session.identity, expires_at: 1, ...changes.identity } });
  const refused = {
    "sealed by another key": sealed(session, { key: Buffer.alloc(32, 8) }),
    "sealed for another purpose": sealed(session, { purpose: "__Host-moltbot-sign-in" }),
    "sealed for no purpose": sealed(session, { purpose: "" }),
    "not sealed": `${SESSION_COOKIE}=${Buffer.from(JSON.stringify(session)).toString("base64url")}`,
    "cut short": cookie.slice(0, -5),
    "a nonce alone": `${SESSION_COOKIE}=${value.slice(0, 16)}`,
    "shorter than a nonce": `${SESSION_COOKIE}=AAAA`,
    empty: `${SESSION_COOKIE}=`,
    "a flipped bit in the nonce": flipped(3),
    "a flipped bit in the text": flipped(40),
    "a flipped bit in the tag": flipped(value.length - 3),
    "something more": `${cookie}AAAA`,
    "two of them": `${cookie}; ${cookie}`,
    "another name's case": cookie.replace("__Host", "__host"),
    "without its prefix": cookie.replace("__Host-", ""),
    "ended, of a session nobody has": ended({ id: "AAAAAAAAAAAAAAAAAAAAAA" }),
    "ended, of a session that is somebody else's": sealed({ ...other, identity: { ...other.identity, expires_at: 1 } }),
    "without a session's name": sealed({ identity: session.identity }),
    "of a user that is none": sealed({ ...session, identity: { ...session.identity, user: "undefined" } }),
  };
  for (const [name, forged] of Object.entries(refused)) {
    for (const path of ["/", "/api/bot"]) {
      const answer = await worker.fetch(path, { headers: { cookie: forged } });
      assert.equal(answer.status, 401, `${name} ${path}`);
      assert.equal((await answer.json()).code, "sign-in-required", name);
      assert.equal(answer.headers.get("set-cookie"), null, name);
    }
  }
  // A cookie changes nothing, and is no admin's.
  const admin = sealed({ ...session, identity: { ...session.identity, user: ADMIN, admin: true } });
  for (const [path, method] of [["/api/bot/sleep", "POST"], [`/api/admin/bots/${ALICE}`, "GET"], [`/api/admin/bots/${ALICE}/suspend`, "POST"]]) {
    const answer = await worker.fetch(path, { method, headers: { cookie: admin } });
    assert.equal((await answer.json()).code, "bearer-required", path);
  }
  for (const user of [ALICE, BOB]) assert.deepEqual((await worker.record(user)).starts, []);
  assert.equal((await worker.fetch("/api/bot", { headers: { cookie } })).status, 200, "unbent it counts");
  assert.ok(cookieOf(await send(worker, ALICE_LOGIN)));
});
