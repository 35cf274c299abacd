import assert from "node:assert/strict";
import { test } from "node:test";
import { ALICE, BOB, bearer, startWorker } from "./harness.mjs";
import { until } from "../until.mjs";
import { esKey } from "./tokens.mjs";

const by = (token) => ({ headers: bearer(token) });

test("each Supabase algorithm is accepted, and each user gets one Sandbox", async (t) => {
  const worker = await startWorker(t);
  const { provider } = worker;
  assert.deepEqual(Object.values(provider.keys).map(({ alg }) => alg), ["ES256", "RS256", "HS256"]);
  for (const key of Object.values(provider.keys)) {
    const answer = await worker.fetch("/hello", by(provider.token({ sub: ALICE }, key)));
    assert.equal(answer.status, 200, key.alg);
  }
  await worker.as(BOB, "/hello");
  const [alice, bob] = [await worker.record(ALICE), await worker.record(BOB)];
  assert.equal(alice.starts.length, 1);
  assert.equal(bob.starts.length, 1);
  assert.equal(alice.starts[0].env.MOLTBOT_USER_ID, ALICE);
  assert.equal(bob.starts[0].env.MOLTBOT_USER_ID, BOB);
  assert.notEqual(alice.starts[0].env.MOLTBOT_CONTROL_TOKEN, bob.starts[0].env.MOLTBOT_CONTROL_TOKEN);
});

test("a request without credentials is asked to sign in", async (t) => {
  const worker = await startWorker(t);
  const nobody = await worker.fetch("/");
  assert.equal(nobody.status, 401);
  assert.equal((await nobody.json()).code, "sign-in-required");
  assert.equal(nobody.headers.get("www-authenticate"), 'Bearer realm="moltworker"');
  assert.deepEqual((await worker.record(ALICE)).starts, []);
});

test("key rotation accepts new keys, keeps old ones, revokes withdrawn ones", async (t) => {
  const worker = await startWorker(t);
  const { provider } = worker;
  const next = esKey("es-2");
  const status = async (key) => (await worker.fetch("/api/bot", by(provider.token({ sub: ALICE }, key)))).status;
  // Announced before it signs, as Supabase does.
  await provider.publish(provider.keys.es, next);
  const early = provider.token({ sub: ALICE });
  assert.equal((await worker.fetch("/api/bot", by(early))).status, 200);
  assert.equal(await status(next), 200);
  assert.equal(await status(provider.keys.es), 200);
  assert.equal(await provider.asked(), 1);
  // Another isolate meets the key set without the first one.
  await provider.publish(next);
  const later = await startWorker(t, { provider });
  assert.equal((await later.fetch("/api/bot", by(early))).status, 401);
  assert.equal((await later.fetch("/api/bot", by(provider.token({ sub: ALICE }, next)))).status, 200);
});

test("a hundred first requests fetch the provider's keys once", async (t) => {
  const worker = await startWorker(t);
  await worker.provider.set({ hold: true });
  const all = Array.from({ length: 100 }, () => worker.as(ALICE, "/api/bot"));
  await until(() => worker.provider.asked(), "it is asked");
  await worker.provider.set({ hold: false });
  for (const answer of await Promise.all(all)) assert.equal(answer.status, 200);
  assert.equal(await worker.provider.asked(), 1);
});

test("HS256 without a configured secret is refused", async (t) => {
  const worker = await startWorker(t, { without: ["SUPABASE_JWT_SECRET"] });
  const answer = await worker.fetch("/", by(worker.provider.token({ sub: ALICE }, worker.provider.keys.hs)));
  assert.equal((await answer.json()).code, "token-refused");
});

test("the provider's keys are fetched once, and again for an unknown key", async (t) => {
  const worker = await startWorker(t);
  const { provider } = worker;
  for (let i = 0; i < 5; i += 1) assert.equal((await worker.as(ALICE, "/")).status, 200);
  assert.equal(await provider.asked(), 1);
  // Strangers' key ids do not make the Worker ask: the last question is less than a minute old.
  for (let i = 0; i < 5; i += 1) {
    const token = provider.token({ sub: ALICE }, esKey(`made-up-${i}`));
    assert.equal((await worker.fetch("/", by(token))).status, 401);
  }
  assert.equal(await provider.asked(), 1);
  // And while the provider is down, known keys go on working.
  await provider.set({ down: true });
  assert.equal((await worker.as(ALICE, "/")).status, 200);
});

test("an unknown key is requested at most once a minute", async (t) => {
  const worker = await startWorker(t);
  const { provider } = worker;
  assert.equal((await worker.as(ALICE, "/api/bot")).status, 200);
  const next = esKey("es-2");
  await provider.publish(provider.keys.es, next);
  const status = async (key) => (await worker.fetch("/api/bot", by(provider.token({ sub: ALICE }, key)))).status;
  await worker.ahead(50_000);
  assert.equal(await status(next), 401);
  assert.equal(await provider.asked(), 1, "not within the minute");
  await worker.ahead(70_000);
  assert.equal(await status(next), 200);
  assert.equal(await provider.asked(), 2);
  for (let i = 0; i < 5; i += 1) assert.equal(await status(esKey(`made-up-${i}`)), 401);
  assert.equal(await provider.asked(), 2, "a stranger's word costs no second question");
});

test("old keys stay valid while the provider is down and expire after", async (t) => {
  const worker = await startWorker(t);
  const { provider } = worker;
  const known = provider.token({ sub: ALICE });
  const status = async (token) => (await worker.fetch("/api/bot", by(token))).status;
  assert.equal(await status(known), 200);
  const lifetime = 10 * 60_000;
  await worker.ahead(lifetime + 1_000);
  await provider.set({ down: true });
  assert.equal(await status(known), 200, "one that was seen before");
  assert.equal(await status(provider.token({ sub: ALICE, jti: "new" })), 200, "and one that was not");
  const asked = await provider.asked();
  assert.ok(asked > 1, "it was asked");
  await provider.set({ down: false });
  await provider.publish(esKey("es-2"));
  await worker.ahead(lifetime + 10_000);
  assert.equal(await status(known), 401);
  assert.equal(await provider.asked(), asked + 1);
});

test("an unreachable provider gives the caller a 503, not a 401", async (t) => {
  const worker = await startWorker(t);
  await worker.provider.set({ down: true });
  const answer = await worker.as(ALICE, "/");
  assert.equal(answer.status, 503);
  assert.equal((await answer.json()).code, "identity-provider-unavailable");
  assert.ok(answer.headers.get("retry-after"));
  const asked = await worker.provider.asked();
  for (let i = 0; i < 5; i += 1) assert.equal((await worker.as(ALICE, "/")).status, 503);
  assert.equal(await worker.provider.asked(), asked, "the provider is not stampeded");
  await worker.provider.set({ down: false });
  await until(async () => (await worker.as(ALICE, "/")).status === 200, "the provider is asked again");
});
