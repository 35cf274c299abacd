// When a bot starts, when it stops, and what cannot wake it: the whole system with the real gateway in real
// containers.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { test } from "node:test";
import { BACK_MS, Bot } from "./bot.mjs";
import { docker, startStack } from "./stack.mjs";
import { until } from "../until.mjs";

const CALLERS = 50;
// The shortest that may be set.
const SLEEP_AFTER = "30s";
// One word of an answer every two seconds, and so many words to repeat: a turn of a minute and a half.
const PACE_MS = 2_000;
const LONG_QUESTION = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen";
// After those thirty seconds the alarm may find a bot that was used since it was set, and is set again.
const ASLEEP_MS = 120_000;
// What the supervisor gives the gateway (`Rules::stop_grace`); the engine would kill the container later.
const DRAIN_MS = 25_000;
const ENGINE_KILLS_AFTER_S = "60";
// When a scheduled turn is due: after it was written down, on a busy machine too.
const SOON_MS = 10_000;

test("lifecycle", { timeout: 40 * 60_000 }, async (t) => {
  const stack = await startStack(t, { settings: { SLEEP_AFTER }, paceMs: PACE_MS });
  const [token, admin] = [await stack.token("dev-1"), await stack.token("dev-admin")];
  const adminPath = `/api/admin/bots/${stack.user("dev-1").id}`;
  const state = async () => (await stack.fetch("/api/bot", { token })).json();
  const order = (what) => stack.fetch(`/api/bot/${what}`, { token, method: "POST" });
  const reaches = (wanted) => until(async () => (await state()).state === wanted, `the bot is ${wanted}`, {
    deadlineMs: ASLEEP_MS,
    pauseMs: 500,
  });
  const wakes = () => until(async () => (await stack.fetch("/", { token })).ok, "it is served", { deadlineMs: BACK_MS });
  const runs = async () => (await state()).run;

  await t.test("fifty first requests at once start one container and are all answered", async () => {
    const asked = Array.from({ length: CALLERS }, () => stack.fetch("/", { token }));
    const answers = await Promise.all(asked);
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    assert.deepEqual((await stack.containers()).map(({ run }) => run), ["1"]);
  });

  await t.test("a running turn keeps an idle bot awake until it ends", async () => {
    const bot = new Bot((await stack.containerOf("dev-1")).id);
    const { id } = await bot.rpc("cron.add", {
      name: "a long turn",
      schedule: { kind: "at", at: new Date(Date.now() + SOON_MS).toISOString() },
      deleteAfterRun: false,
      sessionTarget: "isolated",
      wakeMode: "now",
      payload: { kind: "agentTurn", message: LONG_QUESTION },
      delivery: { mode: "none" },
    });
    await until(async () => (await bot.rpc("cron.get", { id })).state.runningAtMs, "the turn has begun");
    // For the turn, and not only for a call this test makes.
    const putOff = /"sleep-put-off".*(cron|embedded)-run/;
    await until(async () => putOff.test(await readFile(stack.log, "utf8")), "its sleep is put off", {
      deadlineMs: ASLEEP_MS,
    });
    // Once it is over the bot would fall asleep before anybody could see how it ended.
    await order("pin");
    const [{ status }] = await until(async () => {
      const { entries } = await bot.rpc("cron.runs", { id });
      return entries.length > 0 && entries;
    }, "the turn is over", { deadlineMs: BACK_MS, pauseMs: 1_000 });
    assert.equal(status, "ok");
    await order("unpin");
  });

  await t.test("an idle bot is put to sleep and leaves no process behind", async () => {
    const bot = new Bot((await stack.containerOf("dev-1")).id);
    const processes = await bot.processesOnHost();
    assert.match(await (await stack.fetch("/api/bot/logs", { token })).text(), /\[gateway\]/);
    assert.ok(processes.length > 1 && processes.every(lives), "the gateway is among them");
    await reaches("asleep");
    assert.deepEqual(processes.filter(lives), []);
    assert.equal(await stack.containerOf("dev-1"), undefined);
  });

  await t.test("reading the status wakes no bot", async () => {
    const before = await state();
    assert.deepEqual([before.state, before.run], ["asleep", 1]);
    for (const [path, by] of [["/api/bot", token], [adminPath, admin], ["/healthz", undefined], ["/login", undefined]]) {
      assert.ok((await stack.fetch(path, { token: by })).ok, path);
    }
    const log = await stack.fetch("/api/bot/logs", { token });
    assert.deepEqual([log.status, (await log.json()).code], [409, "bot-asleep"]);
    assert.ok((await stack.fetch("/api/bot/snapshots", { token })).ok);
    await stack.tick();
    assert.deepEqual(await state(), before);
    assert.deepEqual(await stack.running(), []);
  });

  await t.test("the next request wakes a sleeping bot", async () => {
    assert.equal((await stack.fetch("/", { token })).status, 200);
    assert.deepEqual((await stack.running()).map(({ run }) => run), ["2"]);
  });

  await t.test("a quiesced gateway resumes when its owner sends a request", async () => {
    const bot = new Bot((await stack.containerOf("dev-1")).id);
    const takesWork = async () => (await stack.fetch("/startupz", { token })).status === 200;
    await until(async () => (await bot.control("POST", "/v1/quiesce")).answer === "ready", "it agrees");
    assert.equal(await takesWork(), false, "a look is no use");
    assert.equal((await stack.fetch("/", { token })).status, 200);
    await until(takesWork, "it takes work again");
  });

  await t.test("a container that is killed is replaced by the next request", async () => {
    await docker("kill", (await stack.containerOf("dev-1")).id);
    // What meets the dying container may be told to try again.
    await wakes();
    assert.deepEqual((await stack.running()).map(({ run }) => run), ["3"]);
  });

  await t.test("a stop ends the container within the drain time without leftovers", async (t) => {
    const { id } = await stack.containerOf("dev-1");
    const processes = await new Bot(id).processesOnHost();
    const begun = performance.now();
    // Straight to the container, which is what the platform does.
    const stopped = docker("stop", "--time", ENGINE_KILLS_AFTER_S, id);
    const code = await docker("wait", id);
    const took = performance.now() - begun;
    await stopped;
    t.diagnostic(`${processes.length} processes ended within ${(took / 1_000).toFixed(1)} s`);
    assert.equal(code, "0", "it left by itself");
    assert.ok(took < DRAIN_MS, `it took ${took} ms`);
    assert.deepEqual(processes.filter(lives), []);
  });

  const staysDown = async (what, by, path, status, code) => {
    // One that ended by itself twice in a row is given a moment.
    await wakes();
    const run = await runs();
    assert.equal((await stack.fetch(path, { token: by, method: "POST" })).status, 200);
    await reaches(what);
    assert.deepEqual(await stack.running(), []);

    const refused = await stack.fetch("/", { token });
    assert.deepEqual([refused.status, (await refused.json()).code], [status, code]);
    assert.equal(await webSocket(stack, token), status);
    await stack.tick();
    // Its owner's start ends a stop, and no suspension.
    if (what === "suspended") await order("start");
    assert.deepEqual([(await state()).state, await runs()], [what, run]);
    assert.deepEqual(await stack.running(), []);

    await stack.fetch(`${adminPath}/start`, { token: admin, method: "POST" });
    assert.deepEqual([(await state()).state, await runs()], ["asleep", run], "available, and not yet awake");
  };

  await t.test("a stopped bot is woken by no request, WebSocket or cron", () =>
    staysDown("stopped", token, "/api/bot/stop", 409, "bot-stopped"));

  await t.test("a suspended bot is woken by no request, WebSocket or cron", () =>
    staysDown("suspended", admin, `${adminPath}/suspend`, 403, "bot-suspended"));
});

/** Whether a process is there and not only waiting to be collected. */
function lives(pid) {
  return existsSync(`/proc/${pid}/exe`);
}

/** Tries to open a WebSocket, as the bot's page would; answers the status. */
function webSocket(stack, token) {
  const { url } = stack;
  const headers = {
    authorization: `Bearer ${token}`,
    origin: url,
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": Buffer.alloc(16, 1).toString("base64"),
  };
  return new Promise((resolve, reject) => {
    const asked = request(new URL("/ws", url), { headers });
    asked.once("upgrade", (_, socket) => {
      socket.destroy();
      resolve(101);
    });
    asked.once("response", (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    asked.once("error", reject);
    asked.end();
  });
}
