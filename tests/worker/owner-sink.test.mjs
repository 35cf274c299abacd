// An owner is told about their own bot, at a sink of their own, and has nothing else sent.
import test from "node:test";
import assert from "node:assert/strict";
import { Webhook } from "standardwebhooks";
import { MINUTE, SECRET, bot, start } from "./alerts.mjs";
import { until } from "../until.mjs";

const PATH = "/api/bot/alerts/sink";
const HOST = "hooks.example.com";
const OWNER = { sub: bot(1) };
const STRANGER = { sub: bot(2) };

async function startOwner(t, options) {
  const started = await start(t, options);
  const { worker, receiver } = started;
  await worker.fake("any", `stand-in?host=${HOST}&for=${encodeURIComponent(receiver.url)}`);
  const exp = Math.floor(Date.now() / 1_000) + 6 * 3_600;
  return {
    ...started,
    /** A call of somebody's own sink. */
    own: (method, document, who = OWNER, path = PATH) => worker.call({ ...who, exp }, method, path, document),
  };
}
const webhook = (name) => ({ kind: "webhook", url: `https://${HOST}/${name}`, secret: SECRET });

test("an owner's sink is told of their bot alone, signed, in words for them", async (t) => {
  const { receiver, own, minutes, sink, wrong, well, component, told } = await startOwner(t);
  await sink("ops");
  const set = await own("PUT", webhook("mine"));
  assert.deepEqual([set.status, set.sink.kind, set.sink.host, set.sink.waiting], [200, "webhook", HOST, 0]);
  await own("PUT", webhook("theirs"), STRANGER);
  await wrong(1, { incidents: ["passed-over"] });
  await wrong(3, { incidents: ["repository-damaged"] });
  await component("identity-provider", "down");
  await minutes(5);
  await well();
  await component("identity-provider", "ok");
  await minutes(5);
  assert.equal(told().length, 6, "the admins are told of everything");
  assert.deepEqual(told("mine"), ["passed-over opened", "passed-over recovered"]);
  assert.deepEqual(told("theirs"), []);
  const [first] = receiver.at("/mine");
  assert.deepEqual([first.data.subject, first.data.runbook], [OWNER.sub, null]);
  assert.match(first.data.title, /^Your bot was started from an older state/);
  const { headers, body } = receiver.got.find(({ path }) => path === "/mine");
  t.mock.timers.enable({ apis: ["Date"], now: Number(headers["webhook-timestamp"]) * 1_000 });
  new Webhook(SECRET).verify(body, headers);
});

test("what an admin mutes is told to the owner all the same", async (t) => {
  const { own, worker, minutes, sink, wrong, well, told } = await startOwner(t);
  await sink("ops");
  await own("PUT", webhook("mine"));
  await worker.asAdmin("POST", "/api/admin/alerts/mutes", { rule: "passed-over", until: Date.now() + 60 * MINUTE });
  await wrong(1, { incidents: ["passed-over"] });
  await minutes(2);
  await well();
  await minutes(4);
  assert.deepEqual([told("mine"), told()], [["passed-over opened", "passed-over recovered"], []]);
});

test("an owner's sink that fails is shown to them and alarms no admin", async (t) => {
  const { own, worker, minutes, sink, wrong, told } = await startOwner(t, { answer: (path) => (path === "/mine" ? 500 : 200) });
  await sink("ops");
  await own("PUT", webhook("mine"));
  await wrong(1, { incidents: ["passed-over"] });
  await minutes(12);
  assert.deepEqual(told(), ["passed-over opened"]);
  const { sink: shown } = await own("GET");
  assert.deepEqual([shown.last_error, shown.waiting, shown.failing_since > 0], ["it answered 500", 1, true]);
  const { components } = await worker.asAdmin("GET", "/api/admin/health?status=200");
  assert.equal(components.find(({ component }) => component === "alert-sinks").health, "healthy");
  assert.equal((await own("DELETE")).sink, null);
  assert.equal((await own("DELETE")).code, "no-such-entry");
});

test("an owner tries their sink a few times an hour, whatever they replace", async (t) => {
  const { receiver, own, worker } = await startOwner(t);
  const tries = () => own("POST", undefined, OWNER, `${PATH}/test`);
  assert.equal((await tries()).code, "no-such-entry");
  await own("PUT", webhook("mine"));
  for (let i = 0; i < 4; i++) assert.deepEqual((await tries()).delivered, true);
  await own("DELETE");
  await own("PUT", webhook("other"));
  const more = await Promise.all([tries(), tries(), tries()]);
  assert.deepEqual(more.map(({ status }) => status).sort(), [200, 429, 429]);
  assert.equal(receiver.got.length, 5);
  await worker.ahead(61 * MINUTE);
  assert.equal((await tries()).delivered, true);
});

test("an owner can have nothing sent into a network, and only so much", async (t) => {
  const { receiver, own, worker, database, minutes, wrong } = await startOwner(t);
  for (const url of [`${receiver.url}/x`, "http://hooks.example.com/x", "https://127.0.0.1/x", "https://am.internal/x"]) {
    const refused = await own("PUT", { ...webhook("x"), url });
    assert.deepEqual([refused.status, refused.detail.slice(0, 5)], [400, "url: "], url);
  }
  assert.match((await own("PUT", { kind: "alertmanager", url: `https://${HOST}` })).detail, /^kind: /);
  assert.deepEqual(await own("GET"), { status: 200, sink: null });
  await own("PUT", webhook("mine"));
  const sent = database.prepare(
    "INSERT INTO alert_deliveries (message_id, incident, kind, sink, notice, created_at, next_at, done_at, delivered) VALUES (?, ?, 'opened', ?, '{}', ?, 0, 1, 1)",
  );
  await database.batch(Array.from({ length: 20 }, (_, i) => sent.bind(`${i}`, `${i}`, `owner-${OWNER.sub}`, Date.now())));
  await wrong(1, { incidents: ["passed-over"] });
  await minutes(2);
  assert.equal(receiver.at("/mine").length, 0, "twenty an hour");
  // What opens it is in no answer, no row and no event.
  const shown = [JSON.stringify(await own("GET")), JSON.stringify(await worker.asAdmin("GET", "/api/admin/events"))];
  for (const table of ["owner_sinks", "alert_deliveries"]) shown.push(JSON.stringify((await database.prepare(`SELECT * FROM ${table}`).all()).results));
  for (const secret of [SECRET.slice(6), `${HOST}/mine`]) assert.ok(!shown.some((text) => text.includes(secret)), secret);
});

test("the sink of an account that is deleted is gone with it", async (t) => {
  const { own, worker, database } = await startOwner(t);
  await own("PUT", webhook("mine"));
  assert.equal((await worker.asAdmin("POST", `/api/admin/users/${OWNER.sub}/delete`)).status, "deleted");
  const sealed = () => database.prepare("SELECT sealed FROM owner_sinks").first();
  await until(async () => (await sealed()).sealed === null, "what opens it is gone");
});
