// What goes wrong for real is told for real: real containers and gateways, a receiver whose messages are checked, each alert once
// and its end once. Thresholds are nought here, so that the test waits for what happens and not for thresholds.
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { readdir } from "node:fs/promises";
import { test } from "node:test";
import { Webhook } from "standardwebhooks";
import { startReceiver } from "../worker/receiver.mjs";
import { BACK_MS, Bot } from "./bot.mjs";
import { Bucket } from "./bucket.mjs";
import { docker, root, startStack } from "./stack.mjs";
import { until } from "../until.mjs";

const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const CONFIG = "/data/moltbot/.openclaw/openclaw.json";
const TIGHT = "900m";
const HOG_MB = 600;
/** How long cron has to be away, and a message unread, with something to spare. */
const AWAY_MS = 160_000;
const UNREAD_MS = 330_000;
const AT_ONCE = ["crash-loop", "out-of-memory", "backup-failing", "bucket-down", "cron-late", "queue-failing", "sink-failing"];
const setting = (rule) => ({ rule, opens_after_s: 0, closes_after_s: 0 });

test("alerts", { timeout: 15 * 60_000 }, async (t) => {
  let isDown = false;
  const receiver = await startReceiver(t, (path) => (isDown && path === "/flaky" ? 503 : 200));
  const stack = await startStack(t, { dockerfile: join(root, "Dockerfile"), settings: { ALERT_INTERNAL_HOSTS: receiver.host } });
  const begun = Date.now();
  const admin = await stack.token("dev-admin");
  const ask = async (method, path, document, token = admin) => {
    const headers = { "content-type": "application/json" };
    const answer = await stack.fetch(path, { method, token, headers, body: document && JSON.stringify(document) });
    assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`);
    return answer.json();
  };
  const set = (rules) => ask("POST", "/api/admin/alerts/settings", { rules: rules.map(setting) });
  const say = (what) => t.diagnostic(`${what} after ${((Date.now() - begun) / 1_000).toFixed(1)} s`);
  /** Every alert that has arrived at the sink. */
  const told = () => receiver.at("/ops").map(({ type, data }) => `${data.rule} ${type.split(".")[1]}`);
  /** Has cron come until that is told. */
  const tells = async (what, before = async () => {}) => {
    await until(async () => {
      await before();
      await stack.tick();
      return told().includes(what);
    }, what, { deadlineMs: BACK_MS, pauseMs: 1_000 });
    say(what);
  };
  /** Something goes wrong, is told, is mended, and that is told. */
  const provoke = async (rule, wrong, { meanwhile } = {}) => {
    const mend = await wrong();
    await tells(`${rule} opened`, meanwhile);
    await mend();
    await tells(`${rule} recovered`, meanwhile);
  };
  for (const name of ["ops", "flaky"]) {
    await ask("POST", "/api/admin/alerts/sinks", { name, kind: "webhook", url: `${receiver.url}/${name}`, secret: SECRET });
  }
  await set(AT_ONCE);
  const people = await Promise.all(["dev-1", "dev-2"].map(async (name) => ({ name, token: await stack.token(name) })));
  const [one, two] = people;
  /** Has a bot's Sandbox ask how it is. */
  const look = (person) => () => ask("POST", "/api/bot/pin", undefined, person.token);
  const served = ({ token }) => until(async () => (await stack.fetch("/", { token })).ok, "it is served", { deadlineMs: BACK_MS });
  const bucket = new Bucket(stack, stack.user("dev-2").id);

  await stack.tick();
  // What the Worker has from the queue would be lost with it.
  const waiting = "SELECT count(*) AS ticks FROM cron_ticks WHERE consumed < queued";
  await until(async () => (await inDatabase(stack, "d1", waiting))[0].ticks === 0, "the queue is empty");
  // Cron has not come for so long, and a Worker that has just been deployed looks for it at its first request.
  await inDatabase(stack, "d1", `UPDATE cron_ticks SET started_at = started_at - ${AWAY_MS}, finished_at = finished_at - ${AWAY_MS}`);
  await stack.redeploy();
  await ask("GET", "/api/admin/alerts/settings");
  await until(() => told().includes("cron-late opened"), "it is told without cron");
  say("cron-late opened");
  await tells("cron-late recovered");
  await provoke("sink-failing", async () => {
    isDown = true;
    await ask("POST", "/api/admin/alerts/sinks/test", { name: "flaky" });
    return async () => {
      isDown = false;
      await ask("POST", "/api/admin/alerts/sinks/test", { name: "flaky" });
    };
  });
  await provoke("bucket-down", async () => {
    await inDatabase(stack, "r2", "ALTER TABLE _mf_objects RENAME TO away");
    return () => inDatabase(stack, "r2", "ALTER TABLE away RENAME TO _mf_objects");
  });
  await Promise.all(people.map(async (person) => {
    await served(person);
    person.bot = new Bot((await stack.containerOf(person.name)).id);
    await look(person)();
  }));

  await Promise.all([ofMemory(), ofData()]);

  await provoke("queue-failing", async () => {
    let whole;
    await stack.reconfigure((config) => {
      whole = config;
      const isConsumer = (table) => table.startsWith("[[queues.consumers]]") && /^queue = "moltbot-jobs"$/m.test(table);
      return config.split(/^(?=\[)/m).filter((table) => !isConsumer(table)).join("");
    });
    for (let ticks = 0; ticks < 5; ticks += 1) await stack.tick();
    await inDatabase(stack, "d1", `UPDATE cron_ticks SET started_at = started_at - ${UNREAD_MS}, finished_at = finished_at - ${UNREAD_MS}
      WHERE id = (SELECT max(id) - 3 FROM cron_ticks)`);
    return () => stack.reconfigure(() => whole);
  });

  const expected = [...AT_ONCE, "start-slow"].flatMap((rule) => [`${rule} opened`, `${rule} recovered`]);
  assert.deepEqual(told().sort(), expected.sort(), "each once, its end once, and nothing else");
  for (const { headers, body } of receiver.got) {
    // At the time it was sent: the first ones are too old by now.
    t.mock.timers.enable({ apis: ["Date"], now: Number(headers["webhook-timestamp"]) * 1_000 });
    new Webhook(SECRET).verify(body, headers);
    t.mock.timers.reset();
  }
  const { incidents } = await ask("GET", "/api/admin/incidents?state=open");
  assert.deepEqual(incidents, []);

  /** One bot's container is killed, its gateway by the kernel, and by its own full heap. */
  async function ofMemory() {
    await provoke("start-slow", async () => {
      await set([...AT_ONCE, "start-slow"]);
      await docker("kill", one.bot.id);
      return async () => {
        await served(one);
        one.bot = new Bot((await stack.containerOf(one.name)).id);
      };
    });
    await set(AT_ONCE);
    await provoke("out-of-memory", async () => {
      const first = await one.bot.status();
      await docker("update", "--memory", TIGHT, "--memory-swap", TIGHT, one.bot.id);
      const grow = `const held = []; for (let i = 0; i < ${HOG_MB / 10}; i += 1) held.push(Buffer.alloc(10 << 20, 1));`;
      await one.bot.run(`node -e '${grow}' || true`);
      await docker("update", "--memory", "4g", "--memory-swap", "4g", one.bot.id);
      const second = await one.bot.readyAfter(first.gateway_pid);
      await look(one)();
      await one.bot.inGateway("const held = []; for (;;) held.push(Array.from({ length: 100_000 }, (_, i) => ({ i })))");
      await one.bot.readyAfter(second.gateway_pid);
      return () => ask("POST", "/api/bot/restart", undefined, one.token);
    }, { meanwhile: look(one) });
    const { events } = await ask("GET", "/api/bot/events", undefined, one.token);
    const ends = events.filter(({ kind }) => kind === "out-of-memory").map(({ detail }) => detail);
    assert.deepEqual(ends, ["its JavaScript heap was full", "the kernel killed its gateway"]);
  }

  /** The other bot's repository is damaged, then its config. */
  async function ofData() {
    await provoke("backup-failing", async () => {
      await two.bot.save();
      const mend = await bucket.damageConfig();
      // The second failure is the one that is told: an order to save does not wait for a retry.
      await two.bot.own("echo more > notes.txt");
      for (const attempts of [1, 2]) {
        await two.bot.control("POST", "/v1/snapshot", { reason: "manual" });
        await until(async () => (await two.bot.status()).backup.error?.attempts >= attempts, `${attempts} failed`, { pauseMs: 500 });
      }
      return async () => {
        await mend();
        await two.bot.save();
      };
    }, { meanwhile: look(two) });
    await provoke("crash-loop", async () => {
      await two.bot.run(`cp ${CONFIG} /tmp/good.json && sed -i '0,/{/s//{ "foo": 1,/' ${CONFIG}`);
      await two.bot.control("POST", "/v1/restart");
      return () => two.bot.run(`cat /tmp/good.json > ${CONFIG}`);
    }, { meanwhile: look(two) });
  }
});

/** Runs a statement in the local counterpart of D1 or R2, whose databases are files; the rows it answers. */
async function inDatabase(stack, which, statement) {
  const dir = join(stack.state, "wrangler/v3", which, { d1: "miniflare-D1DatabaseObject", r2: "miniflare-R2BucketObject" }[which]);
  const names = (await readdir(dir)).filter((name) => name.endsWith(".sqlite") && !name.startsWith("metadata"));
  assert.equal(names.length, 1, `${names}`);
  const database = new DatabaseSync(join(dir, names[0]), { timeout: 10_000 });
  try {
    return database.prepare(statement).all();
  } finally {
    database.close();
  }
}
