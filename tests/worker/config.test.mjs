// The config and the devices of a bot's gateway: what the Worker and its Sandbox make of what a container says.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ADMIN, ALICE, BOB, startWorker } from "./harness.mjs";

const SECRET = "123:the-secret";

async function awake(t, behaviour = {}) {
  const worker = await startWorker(t);
  const post = (path, document) =>
    worker.as(ALICE, `/api/bot/${path}`, {
      method: "POST", body: JSON.stringify(document), headers: { "content-type": "application/json" },
    });
  await worker.as(ALICE, "/");
  await worker.fake(ALICE, "set", behaviour);
  return { worker, post };
}
const said = async (answer) => [answer.status, (await answer.json()).code];

test("a config is read and patched as its container says, fractions included", async (t) => {
  const { worker, post } = await awake(t, { config: { mine: 1.5, list: [1e300] } });
  const before = await (await worker.as(ALICE, "/api/bot/config")).json();
  assert.deepEqual(before.config, { mine: 1.5, list: [1e300] });
  const patched = await post("config", { patch: { mine: 0.25 }, digest: before.digest });
  assert.equal(patched.status, 200);
  assert.deepEqual((await patched.json()).config, { mine: 0.25, list: [1e300] });
  assert.deepEqual(await said(await post("config", { patch: { mine: 1 }, digest: before.digest })), [409, "config-changed"]);
  const refused = await post("config", { patch: { foo: 1 } });
  const { code, detail } = await refused.json();
  assert.deepEqual([refused.status, code, detail], [422, "config-refused", 'Unrecognized key: "foo"']);
  assert.deepEqual(await said(await post("config", { patch: [1] })), [400, "bad-request"]);
  assert.deepEqual((await worker.as(ALICE, "/api/bot/config/changes").then((answer) => answer.json())).changes.length, 1);
});

test("each change of a config is told with who made it, and leads back", async (t) => {
  const { worker, post } = await awake(t, { config: { token: SECRET } });
  await post("config", { patch: { token: "another" } });
  const admins = await worker.asAdmin("POST", `/api/admin/bots/${ALICE}/config`, { patch: { more: 1 } });
  assert.deepEqual(admins.config, { token: "another", more: 1 });
  const list = async () => (await (await worker.as(ALICE, "/api/bot/config/changes")).json()).changes;
  const changes = await list();
  assert.deepEqual(
    changes.map(({ id, by, by_admin, paths, rolled_back }) => [id, by, by_admin, paths, rolled_back]),
    [[2, ADMIN, true, ["more"], null], [1, ALICE, false, ["token"], null]],
  );
  assert.ok(changes[0].at >= changes[1].at && Date.now() - changes[1].at < 60_000);
  // Also after the object was away, and while the bot sleeps.
  await worker.fake(ALICE, "evict");
  const back = await post("config/roll-back", { id: 1 });
  assert.deepEqual((await back.json()).config, { token: SECRET });
  assert.deepEqual((await list())[0].rolled_back, 1);
  assert.deepEqual(await said(await post("config/roll-back", { id: 99 })), [404, "no-such-entry"]);
  const { events } = await worker.asAdmin("GET", `/api/admin/bots/${ALICE}/events`);
  const changed = events.filter(({ kind }) => kind === "changed").map(({ action, actor, detail }) => [action, actor, detail]);
  assert.deepEqual(changed.filter(([action]) => action === "roll-back-config").at(-1), ["roll-back-config", "owner", "to before change 1"]);
  assert.ok(changed.some(([action, actor]) => action === "admin-patch-config" && actor === ADMIN));
  // No history, log or list has what stands in a config.
  assert.ok(!JSON.stringify([events, await list()]).includes("another"));
  assert.ok(!worker.log.text.includes(SECRET));
});

test("twenty changes are kept, and a container's word on each is cut", async (t) => {
  const { worker, post } = await awake(t);
  for (let number = 1; number <= 22; number += 1) assert.equal((await post("config", { patch: { [`k${number}`]: number } })).status, 200);
  const { changes } = await (await worker.as(ALICE, "/api/bot/config/changes")).json();
  assert.deepEqual([changes.length, changes[0].id, changes.at(-1).id], [20, 22, 3]);
  assert.deepEqual(await said(await post("config/roll-back", { id: 2 })), [404, "no-such-entry"]);
});

test("what a container says in the place of a config reaches nobody", async (t) => {
  const { worker } = await awake(t);
  const digest = "ab".repeat(32);
  for (const shown of [
    { config: "[1]", digest }, { config: "{", digest }, { config: "{}", digest: 'x","more":"' }, { config: 7, digest }, "no",
    { config: `{"x":"${"x".repeat(2 << 20)}"}`, digest },
  ]) {
    await worker.fake(ALICE, "set", { shown });
    const answer = await worker.as(ALICE, "/api/bot/config");
    assert.ok([409, 503].includes(answer.status), `${answer.status}`);
    assert.match(answer.headers.get("content-type"), /problem\+json/);
  }
});

test("a channel is added where its gateway and its supervisor say little", async (t) => {
  const { worker } = await awake(t, { channels: null });
  const call = (method, path, document) => worker.call({ sub: ALICE }, method, `/api/bot/${path}`, document);
  const added = await call("PUT", "channels", { kind: "telegram", token: SECRET });
  assert.deepEqual(added.channels.map(({ kind, configured, running }) => [kind, configured, running]), [["telegram", true, false]]);
  assert.equal((await call("GET", "channels")).code, "gateway-unavailable");
  const refused = await call("POST", "config", { patch: { foo: SECRET } });
  assert.equal(refused.code, "config-refused");
  assert.ok(!worker.log.text.includes("Unrecognized key"), "the gateway's words are in no log");
  await worker.fake(ALICE, "set", { oldSupervisor: true });
  for (const path of ["config", "channels", "devices"]) {
    const { code, detail } = await call("GET", path);
    assert.equal(code, "gateway-unavailable", path);
    assert.match(detail, /restart the bot/);
  }
});

test("a bot that sleeps is not woken for its config or its devices", async (t) => {
  const worker = await startWorker(t);
  for (const path of ["config", "devices"]) {
    assert.deepEqual(await said(await worker.as(ALICE, `/api/bot/${path}`)), [409, "bot-asleep"]);
  }
  assert.deepEqual(await (await worker.as(ALICE, "/api/bot/config/changes")).json(), { changes: [] });
  assert.deepEqual((await worker.record(ALICE)).starts, []);
});

test("devices are listed, let in, turned away and revoked", async (t) => {
  const device = (id, more = {}) => ({
    id, name: null, platform: null, client: null, roles: [], scopes: [], address: null, since: 1, seen_at: null, connected: false, ...more,
  });
  const long = "x".repeat(10_000);
  const devices = { pending: [device("r-1", { name: long }), device("r-2"), device("../x")], paired: [device("d-1")] };
  const { worker, post } = await awake(t, { devices });
  const list = await (await worker.as(ALICE, "/api/bot/devices")).json();
  assert.deepEqual(list.pending.map(({ id, name }) => [id, name?.length]), [["r-1", 100], ["r-2", undefined]]);
  const ids = async (answer) => Object.values(await (await answer).json()).map((all) => all.map(({ id }) => id));
  assert.deepEqual(await ids(post("devices/approve", { id: "r-1" })), [["r-2"], ["d-1", "r-1"]]);
  assert.deepEqual(await ids(post("devices/reject", { id: "r-2" })), [[], ["d-1", "r-1"]]);
  const admins = await worker.asAdmin("POST", `/api/admin/bots/${ALICE}/devices/revoke`, { id: "d-1" });
  assert.deepEqual(admins.paired.map(({ id }) => id), ["r-1"]);
  assert.deepEqual(await said(await post("devices/approve", { id: "r-9" })), [404, "no-such-entry"]);
  assert.deepEqual(await said(await post("devices/approve", { id: "a b" })), [400, "bad-request"]);
  assert.equal((await worker.as(BOB, `/api/admin/bots/${ALICE}/devices`)).status, 403);
  const { events } = await worker.asAdmin("GET", `/api/admin/bots/${ALICE}/events`);
  assert.ok(events.some(({ action, detail }) => action === "approve-device" && detail === "r-1"));
});

test("a channel is added by a patch, and its token is told to nobody", async (t) => {
  const channel = { kind: "telegram", account: "default", name: "x".repeat(9_000), configured: true, enabled: true, running: true, connected: null, mode: "polling", error: null };
  const { worker } = await awake(t, { channels: { channels: [channel] } });
  const call = (method, document) => worker.call({ sub: ALICE }, method, "/api/bot/channels", document);
  const added = await call("PUT", { kind: "telegram", token: SECRET });
  assert.deepEqual(added.channels.map(({ kind, name }) => [kind, name.length]), [["telegram", 300]]);
  const patched = (await worker.record(ALICE)).bodies.find(([path]) => path === "/v1/config")[1].patch;
  assert.deepEqual(patched, { channels: { telegram: { enabled: true, botToken: SECRET } } });
  assert.equal((await call("PUT", { kind: "slack", token: "xoxb-1" })).code, "bad-request");
  assert.equal((await call("PUT", { kind: "irc", token: "x" })).code, "bad-request");
  assert.equal((await call("DELETE", { kind: "telegram" })).status, 200);
  const removed = (await worker.record(ALICE)).bodies.filter(([path]) => path === "/v1/config").at(-1)[1].patch;
  assert.deepEqual(removed, { channels: { telegram: null } });
  const { events } = await worker.asAdmin("GET", `/api/admin/bots/${ALICE}/events`);
  assert.ok(events.some(({ action, detail }) => action === "set-channel" && detail === "telegram"));
  assert.ok(!JSON.stringify(events).includes(SECRET) && !worker.log.text.includes(SECRET));
});
