// Ways in and out that fail: in whose history they are, and what a stranger learns by trying.
import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../until.mjs";
import { ALICE, ALICE_LOGIN, ORIGIN, startWorker } from "./harness.mjs";
import { cookieOf, send, signIn } from "./browser.mjs";

const HOUR = 60 * 60 * 1_000;
const from = (address) => ({ "cf-connecting-ip": address, "user-agent": "a guesser" });

/** A Worker that Alice has been to, so that it knows her address. */
async function start(t, options) {
  const worker = await startWorker(t, options);
  await worker.call({ sub: ALICE, email: ALICE_LOGIN.email }, "GET", "/api/bot");
  return worker;
}

/** What is about Alice's sign-ins in the history, oldest first. */
async function inHistory(worker) {
  const database = await worker.database();
  const query = "SELECT kind, actor, action, status, code, detail, address FROM events WHERE user_id = ? AND kind <> 'changed' ORDER BY id";
  return (await database.prepare(query).bind(ALICE).all()).results;
}

const found = (worker, count) => until(async () => {
  const events = await inHistory(worker);
  return events.length >= count && events;
}, `${count} events in Alice's history`);

test("a failed sign-in is in the person's history, once an hour", async (t) => {
  const worker = await start(t);
  const guess = async (fields, address) => assert.equal((await send(worker, fields, from(address))).status, 401);
  await guess({ ...ALICE_LOGIN, password: "wrong" }, "203.0.113.1");
  const event = { kind: "refused", actor: "anonymous", action: "sign-in", status: 401, code: null };
  assert.deepEqual(await found(worker, 1), [{ ...event, detail: "a wrong password", address: "203.0.113.1" }]);
  const email = ` ${ALICE_LOGIN.email.toUpperCase()} `;
  for (let i = 2; i < 6; i += 1) await guess({ email, password: "wrong" }, `203.0.113.${i}`);
  await worker.ahead(HOUR + 1_000);
  await guess({ email, way: "code", code: "123456" }, "203.0.113.6");
  const events = await found(worker, 2);
  assert.deepEqual(events.slice(1), [{ ...event, detail: "a wrong code", address: "203.0.113.6" }]);
  const own = (await (await worker.as(ALICE, "/api/bot/events")).json()).events.filter(({ action }) => action === "sign-in");
  assert.deepEqual(own.map(({ address, agent }) => [address, agent]), [["203.0.113.6", "a guesser"], ["203.0.113.1", "a guesser"]]);
});

test("a failed sign-in tells nobody whether there is an account", async (t) => {
  const worker = await start(t);
  const told = async (email) => {
    const answer = await send(worker, { email, password: "wrong" }, from("203.0.113.1"));
    const headers = [...answer.headers].filter(([name]) => !["content-security-policy", "date", "content-length", "x-request-id"].includes(name));
    const page = (await answer.text()).replaceAll(email, "EMAIL").replace(/nonce="[^"]+"/g, "");
    return { status: answer.status, headers, page };
  };
  assert.deepEqual(await told("nobody@moltworker.test"), await told(ALICE_LOGIN.email));
  await found(worker, 1);
  const database = await worker.database();
  const { results } = await database.prepare("SELECT user_id FROM events WHERE action = 'sign-in' ORDER BY id").all();
  assert.deepEqual(results.map(({ user_id }) => user_id), [null, ALICE], "one of the network, one of the person");
});

test("a failed sign-in is answered while users cannot be read", async (t) => {
  const worker = await start(t);
  const database = await worker.database();
  await database.prepare("ALTER TABLE users RENAME TO away").run();
  assert.equal((await send(worker, { ...ALICE_LOGIN, password: "wrong" })).status, 401);
  await worker.logged("failed-sign-in-not-written");
});

test("who proves themselves and is not let in is named in the event", async (t) => {
  const worker = await start(t);
  await worker.asAdmin("POST", `/api/admin/users/${ALICE}/suspend`);
  assert.equal((await send(worker, ALICE_LOGIN)).status, 403);
  const events = (await inHistory(worker)).filter(({ action }) => action === "sign-in");
  assert.deepEqual(events.map(({ kind, actor, status }) => [kind, actor, status]), [["refused", "owner", 403]]);
});

test("a sign-out that ends no session says so to the person and the history", async (t) => {
  const worker = await start(t);
  const cookie = await signIn(worker);
  await worker.fake(ALICE, "sql", "ALTER TABLE sessions RENAME TO away");
  const out = await worker.fetch("/auth/sign-out", { method: "POST", headers: { cookie, origin: ORIGIN }, body: "" });
  assert.equal(out.status, 503);
  assert.match(await out.text(), /signed out in this browser, but your session could not be ended/);
  assert.match(cookieOf(out), /=$/, "the browser forgets it all the same");
  const events = (await inHistory(worker)).filter(({ action }) => action === "sign-out");
  assert.deepEqual(events.map(({ kind, actor, status, code }) => [kind, actor, status, code]), [["refused", "owner", 503, "session-not-ended"]]);
});
