// The real client against the local identity provider, and what it gets against the Worker: were the local one to
// drift from what Supabase speaks, the client would notice first.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "@supabase/supabase-js";
import { startWorker } from "./harness.mjs";
import { cookieOf, send } from "./browser.mjs";
import { startProvider } from "./provider.mjs";
import { sessionOf } from "./sealed.mjs";
import { codeOf } from "./totp.mjs";

const CALLBACK = "http://localhost:3000/callback";

function client({ url, anonKey }) {
  const kept = new Map();
  const storage = { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value), removeItem: (name) => kept.delete(name) };
  return createClient(url, anonKey, { auth: { flowType: "pkce", autoRefreshToken: false, storage } }).auth;
}

test("tokens of the real Supabase client are accepted and renewed", async (t) => {
  const identity = await startProvider(t, { strict: false });
  const worker = await startWorker(t, { provider: identity });
  const [person, other] = identity.users;
  const accepted = async (session) => {
    const answer = await worker.fetch("/", { headers: { authorization: `Bearer ${session.access_token}` } });
    assert.equal(answer.status, 200, await answer.text());
  };

  await t.test("a password sign-in is accepted", async () => {
    const auth = client(identity);
    const wrong = await auth.signInWithPassword({ email: person.email, password: "wrong" });
    assert.equal(wrong.error.code, "invalid_credentials");
    const { data, error } = await auth.signInWithPassword(person);
    assert.equal(error, null);
    assert.equal(data.user.id, person.id);
    await accepted(data.session);

    const renewed = await auth.refreshSession();
    assert.equal(renewed.error, null);
    assert.notEqual(renewed.data.session.refresh_token, data.session.refresh_token);
    await accepted(renewed.data.session);
    assert.equal((await auth.getUser()).data.user.email, person.email);

    assert.equal((await auth.signOut()).error, null);
    const late = await client(identity).refreshSession(renewed.data.session);
    assert.equal(late.error.code, "refresh_token_not_found");
  });

  await t.test("an OAuth sign-in with PKCE is accepted", async () => {
    const auth = client(identity);
    const { data } = await auth.signInWithOAuth({ provider: "github", options: { redirectTo: CALLBACK, skipBrowserRedirect: true } });
    const code = await throughTheProvider(identity, data.url);
    const { data: exchanged, error } = await auth.exchangeCodeForSession(code);
    assert.equal(error, null);
    assert.equal(exchanged.user.id, person.id);
    await accepted(exchanged.session);

    // Somebody else's code is worth nothing without their verifier.
    const stranger = client(identity);
    const theirs = await stranger.signInWithOAuth({ provider: "github", options: { redirectTo: CALLBACK, skipBrowserRedirect: true } });
    const stolen = await throughTheProvider(identity, (await auth.signInWithOAuth({ provider: "github", options: { redirectTo: CALLBACK, skipBrowserRedirect: true } })).data.url);
    assert.ok(theirs.data.url);
    assert.equal((await stranger.exchangeCodeForSession(stolen)).error.code, "bad_code_verifier");
  });

  await t.test("a mailed link and a mailed code are accepted", async () => {
    const auth = client(identity);
    const ask = () => auth.signInWithOtp({ email: other.email, options: { shouldCreateUser: false, emailRedirectTo: CALLBACK } });
    assert.equal((await ask()).error, null);
    const code = (await identity.openLink(await identity.mailTo(other.email))).searchParams.get("code");
    await accepted((await auth.exchangeCodeForSession(code)).data.session);

    await ask();
    const { code: typed } = await identity.mailTo(other.email);
    const verified = await auth.verifyOtp({ email: other.email, token: typed, type: "email" });
    assert.equal(verified.error, null);
    await accepted(verified.data.session);
    assert.equal((await auth.verifyOtp({ email: other.email, token: typed, type: "email" })).error.code, "otp_expired");
    const nobody = await auth.signInWithOtp({ email: "nobody@moltworker.test", options: { shouldCreateUser: false } });
    assert.equal(nobody.error.code, "otp_disabled");
  });

  await t.test("a sign-in with a second factor is accepted as one", async () => {
    const auth = client(identity);
    const third = identity.users[2];
    await auth.signInWithPassword(third);
    const { data: factor, error } = await auth.mfa.enroll({ factorType: "totp", friendlyName: "phone", issuer: "bots.example.com" });
    assert.equal(error, null);
    assert.match(factor.totp.qr_code, /^data:image\/svg\+xml;utf-8,</);
    assert.match(factor.totp.uri, /^otpauth:\/\/totp\/bots\.example\.com:/);
    const verify = (code) => auth.mfa.challengeAndVerify({ factorId: factor.id, code });
    assert.equal((await verify("12345")).error.code, "mfa_verification_failed");
    const proven = await verify(codeOf(factor.totp.secret));
    assert.equal(proven.error, null);
    await accepted(proven.data);
    assert.equal((await auth.mfa.getAuthenticatorAssuranceLevel()).data.currentLevel, "aal2");
    assert.equal((await auth.refreshSession()).error, null);
    assert.equal((await auth.mfa.getAuthenticatorAssuranceLevel()).data.currentLevel, "aal2");

    const later = client(identity);
    await later.signInWithPassword(third);
    const levels = (await later.mfa.getAuthenticatorAssuranceLevel()).data;
    assert.deepEqual([levels.currentLevel, levels.nextLevel], ["aal1", "aal2"]);
    assert.deepEqual((await later.mfa.listFactors()).data.totp.map(({ id }) => id), [factor.id]);
    const more = await later.mfa.enroll({ factorType: "totp", friendlyName: "tablet" });
    assert.equal(more.error.code, "insufficient_aal");
    assert.equal((await auth.mfa.unenroll({ factorId: factor.id })).data.id, factor.id);
  });

  await t.test("after a key rotation, old and new tokens both count", async () => {
    const auth = client(identity);
    const before = (await auth.signInWithPassword(person)).data.session;
    const rotated = await fetch(new URL("/rotate-keys", identity.url), { method: "POST" });
    assert.equal((await rotated.json()).keys.length, 3);
    const after = (await auth.refreshSession()).data.session;
    const kid = ({ access_token }) => JSON.parse(Buffer.from(access_token.split(".")[0], "base64url")).kid;
    assert.notEqual(kid(before), kid(after));
    await accepted(before);
    // This isolate learned the keys a moment ago; one that starts now learns the new ones.
    const other = await startWorker(t, { provider: identity });
    for (const session of [before, after]) {
      const answer = await other.fetch("/", { headers: { authorization: `Bearer ${session.access_token}` } });
      assert.equal(answer.status, 200);
    }
  });
});

test("the sign-in page and renewal work with refresh token rotation", async (t) => {
  const identity = await startProvider(t, { strict: false, options: ["--token-lifetime", "1"] });
  const worker = await startWorker(t, { provider: identity });
  const [person] = identity.users;
  let cookie = cookieOf(await send(worker, { email: person.email, password: person.password }));
  for (let round = 0; round < 3; round += 1) {
    const { expires_at } = sessionOf(cookie).identity;
    await new Promise((resolve) => setTimeout(resolve, expires_at * 1000 - Date.now() + 50));
    const answers = await Promise.all(Array.from({ length: 5 }, () => worker.fetch("/", { headers: { cookie } })));
    for (const answer of answers) assert.equal(answer.status, 200);
    cookie = cookieOf(answers.at(-1));
    assert.ok(sessionOf(cookie).identity.expires_at > expires_at);
  }
});

async function throughTheProvider(identity, url) {
  const back = await identity.authorize(url);
  assert.ok(back.href.startsWith(CALLBACK), back.href);
  return back.searchParams.get("code");
}
