// Projects that are set up otherwise: API keys of the newer kind, a custom domain, apps of other people.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ALICE, startWorker } from "./harness.mjs";
import { signIn } from "./browser.mjs";
import { sign } from "./tokens.mjs";

const APP = "9a8b7c6d-5e4f-4a2b-9c0d-9e8f7a6b5c4d";

const codeFor = async (worker, changes) => (await worker.call({ sub: ALICE, ...changes }, "GET", "/api/bot")).code;

test("a publishable key goes out as apikey and never as a bearer token", async (t) => {
  const worker = await startWorker(t);
  const key = worker.provider.publishableKey;
  assert.match(key, /^sb_publishable_[\w-]+$/);
  await worker.restart({ SUPABASE_ANON_KEY: key, SUPABASE_JWT_SECRET: "" });
  const cookie = await signIn(worker);
  assert.equal((await worker.fetch("/", { headers: { cookie } })).status, 200);
  const calls = await worker.provider.calls();
  assert.ok(calls.length > 0);
  for (const { apikey, authorization } of calls) assert.deepEqual([apikey, authorization], [key, null]);
});

test("a secret key in the place of the public one is refused by name", async (t) => {
  const worker = await startWorker(t);
  const { hs } = worker.provider.keys;
  for (const key of ["sb_secret_abc", sign({ iss: "supabase", ref: "abcd", role: "service_role" }, hs)]) {
    await worker.restart({ SUPABASE_ANON_KEY: key });
    const answer = await worker.fetch("/api/bot");
    assert.equal(answer.status, 503);
    const { code, detail } = await answer.json();
    assert.equal(code, "not-configured");
    assert.match(detail, /^SUPABASE_ANON_KEY is a secret key of the project/);
    assert.ok(!detail.includes(key));
  }
});

test("behind a custom domain tokens name the issuer that the setting says", async (t) => {
  const worker = await startWorker(t);
  const issuer = "https://abcdefghijklmnop.supabase.co/auth/v1";
  assert.equal(await codeFor(worker, { iss: issuer }), "token-refused");
  await worker.restart({ SUPABASE_ISSUER: issuer });
  assert.equal(await codeFor(worker, { iss: issuer }), undefined);
  assert.equal(await codeFor(worker, {}), "token-refused", "the address of the API is not the issuer");
  await worker.provider.set({ claims: { iss: issuer } });
  assert.match(await signIn(worker), /^__Host-moltbot-session=/);
});

test("only an app that the operator names may act for a person", async (t) => {
  const worker = await startWorker(t);
  assert.equal(await codeFor(worker, { client_id: APP }), "token-refused");
  assert.match((await worker.logged("token-refused")).at(-1).reason, /OAuth client that is not allowed/);
  await worker.restart({ ALLOWED_OAUTH_CLIENTS: `00000000-0000-4000-8000-000000000001, ${APP}` });
  assert.equal(await codeFor(worker, { client_id: APP }), undefined);
  assert.equal(await codeFor(worker, { client_id: APP.replace("9a", "9b") }), "token-refused");
  await worker.restart({ ALLOWED_OAUTH_CLIENTS: "*" });
  const answer = await worker.fetch("/api/bot");
  assert.match((await answer.json()).detail, /^ALLOWED_OAUTH_CLIENTS has an entry that is no client id/);
});
