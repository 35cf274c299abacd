// Who asks too often waits: by address, by user, and sooner where passwords are tried.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NAVIGATION, send } from "./browser.mjs";
import { ALICE, ALICE_LOGIN, BOB, startWorker } from "./harness.mjs";

const from = (address) => ({ "cf-connecting-ip": address });

async function refusedAfter(limit, ask) {
  for (let i = 0; i < limit; i += 1) assert.notEqual((await ask()).status, 429, `request ${i + 1}`);
  const refused = await ask();
  assert.equal(refused.status, 429);
  assert.equal(refused.headers.get("retry-after"), "60");
  return refused;
}

test("one address may try ten passwords a minute across all accounts", async (t) => {
  const worker = await startWorker(t);
  let account = 0;
  const tries = (address) => () => send(worker, { email: `person-${(account += 1)}@example.com`, password: "wrong" }, from(address));
  const refused = await refusedAfter(10, tries("203.0.113.9"));
  assert.equal((await refused.json()).code, "too-many-requests");
  assert.equal((await worker.provider.called("/token")).length, 10, "the identity provider is not asked any more");
  assert.equal((await tries("203.0.113.10")()).status, 401, "another address is not meant");
  assert.equal((await worker.fetch("/login", { headers: { ...NAVIGATION, ...from("203.0.113.9") } })).status, 200, "the page is still there");
  await refusedAfter(10, tries("2001:db8:0:1::1"));
  assert.equal((await tries("2001:db8:0:1:ffff::2")()).status, 429, "an IPv6 network is one customer");
});

test("one account takes ten tries a minute from all addresses", async (t) => {
  const worker = await startWorker(t);
  let last = 0;
  const tries = (email) => () => send(worker, { ...ALICE_LOGIN, email, password: "wrong" }, from(`203.0.113.${(last += 1)}`));
  await refusedAfter(10, tries(ALICE_LOGIN.email));
  assert.equal((await tries(` ${ALICE_LOGIN.email.toUpperCase()}`)()).status, 429, "however it is written");
  assert.equal((await tries("somebody-else@example.com")()).status, 401, "another account is not meant");
  const calls = await worker.provider.called("/token");
  assert.equal(calls.length, 11, "the identity provider is not asked any more");
  assert.equal(calls[0].sb_forwarded_for, "203.0.113.1", "it is told who asks");
});

test("requests to repositories are counted before they are answered", async (t) => {
  const worker = await startWorker(t, { limits: { ADDRESS_LIMIT: 5 } });
  const ask = () => worker.fetch(`/_repo/${ALICE}/keys/`, { headers: from("203.0.113.9") });
  assert.equal((await ask()).status, 401);
  await refusedAfter(4, ask);
});

test("requests of one address are limited, signed in or not", async (t) => {
  const worker = await startWorker(t, { limits: { ADDRESS_LIMIT: 5 } });
  const refused = await refusedAfter(5, () => worker.fetch("/", { headers: { ...NAVIGATION, ...from("203.0.113.9") } }));
  assert.match(await refused.text(), /Too many requests/);
  assert.equal((await worker.as(ALICE, "/", { headers: from("203.0.113.9") })).status, 429);
  assert.equal((await worker.as(ALICE, "/", { headers: from("203.0.113.10") })).status, 200);
});

test("requests of one user are limited across addresses", async (t) => {
  const worker = await startWorker(t, { limits: { USER_LIMIT: 5 } });
  let last = 0;
  await refusedAfter(5, () => worker.as(ALICE, "/", { headers: from(`203.0.113.${(last += 1)}`) }));
  assert.equal((await worker.as(BOB, "/", { headers: from("203.0.113.1") })).status, 200);
  assert.equal((await worker.record(ALICE)).served.length, 5);
});

test("a limit that is not bound is named like a missing setting", async (t) => {
  const worker = await startWorker(t, { without: ["SIGN_IN_LIMIT"] });
  const problem = await (await worker.fetch("/")).json();
  assert.match(problem.detail, /SIGN_IN_LIMIT is not bound/);
});
