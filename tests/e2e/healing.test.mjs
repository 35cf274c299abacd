// A bot that heals while it is used, with the real gateway in a real container: killed, hung, out of memory in both
// ways there are, with a config it rejects, and with orphans by the hundred.
import assert from "node:assert/strict";
import { test } from "node:test";
import { BACK_MS, Bot } from "./bot.mjs";
import { docker, startStack } from "./stack.mjs";
import { until } from "../until.mjs";

// What a gateway leaves of this is less than the hog below takes, and less than the gateway itself has.
const TIGHT = "900m";
const HOG_MB = 600;
/** Fewer than are told of a container, which are those with the most memory. */
const ORPHANS = 400;

test("healing", { timeout: 40 * 60_000 }, async (t) => {
  const stack = await startStack(t);
  const token = await stack.token("dev-1");
  assert.equal((await stack.fetch("/", { token })).status, 200);
  const bot = new Bot((await stack.containerOf("dev-1")).id);

  await t.test("a killed gateway restarts without losing a request", async (t) => {
    const { gateway_pid } = await bot.status();
    const traffic = keepAsking(t, stack, token);
    await bot.run(`kill -9 ${gateway_pid}`);
    const { endings } = await bot.readyAfter(gateway_pid);
    await traffic.allAnswered();
    assert.deepEqual(endings.map(({ reason, exit }) => [reason, exit.value]), [["crash", 9]]);
  });

  await t.test("a hanging gateway is replaced without losing a request", async (t) => {
    const { gateway_pid } = await bot.status();
    const traffic = keepAsking(t, stack, token);
    await bot.run(`kill -STOP ${gateway_pid}`);
    const { endings } = await bot.readyAfter(gateway_pid);
    await traffic.allAnswered();
    assert.equal(endings.at(-1).reason, "probe-timeout");
  });

  await t.test("an out-of-memory kill is distinguished from a crash", async () => {
    const { gateway_pid, memory } = await bot.status();
    await docker("update", "--memory", TIGHT, "--memory-swap", TIGHT, bot.id);
    const grow = `const held = []; for (let i = 0; i < ${HOG_MB / 10}; i += 1) held.push(Buffer.alloc(10 << 20, 1));`;
    // The kernel takes the larger of the two, which is the gateway: the hog gets no further than the limit.
    await bot.run(`node -e '${grow}' || true`);
    await docker("update", "--memory", "4g", "--memory-swap", "4g", bot.id);
    const status = await bot.readyAfter(gateway_pid);
    assert.equal(status.endings.at(-1).reason, "out-of-memory");
    assert.ok(status.memory.oom_kills > memory.oom_kills);
  });

  await t.test("a full heap is distinguished from a crash", async () => {
    const { gateway_pid } = await bot.status();
    await bot.inGateway("const held = []; for (;;) held.push(Array.from({ length: 100_000 }, (_, i) => ({ i })))");
    const { endings } = await bot.readyAfter(gateway_pid);
    const { reason, exit, message } = endings.at(-1);
    assert.deepEqual([reason, exit.value], ["heap-exhausted", 6]);
    assert.match(message, /JavaScript heap out of memory/);
  });

  await t.test("orphaned processes are adopted and reaped", async () => {
    // By their name: the gateway has children that come and go as well.
    const orphans = async () => (await bot.control("GET", "/v1/processes")).filter(({ name }) => name === "sleep").length;
    await bot.run(`for _ in $(seq ${ORPHANS}); do (sleep 600 > /dev/null 2>&1 & echo $! >> /tmp/orphans); done`);
    await until(async () => (await orphans()) === ORPHANS, "they live");
    // All at once: the kernel tells of many ends with one signal.
    await bot.run("kill -9 $(cat /tmp/orphans)");
    await until(async () => (await orphans()) === 0, "they are gone");
    assert.equal((await bot.status()).processes.zombies, 0);
  });

  await t.test("a rejected config is reported without a loop until it is corrected", async () => {
    const config = "/data/moltbot/.openclaw/openclaw.json";
    const { gateway_pid, endings } = await bot.status();
    await bot.run(`cp ${config} /tmp/good.json && sed -i '0,/{/s//{ "foo": 1,/' ${config}`);
    await bot.control("POST", "/v1/restart");
    const lost = await until(() => bot.status().then((s) => s.phase === "crash-looped" && s), "it is given up", {
      deadlineMs: BACK_MS,
    });
    assert.equal(lost.crash_loop.reason, "config-rejected");
    assert.match(lost.crash_loop.message, /Unrecognized key: "foo"/);
    const refused = await stack.fetch("/", { token });
    const problem = await refused.json();
    assert.deepEqual([refused.status, problem.code], [503, "bot-crash-looped"]);
    assert.match(problem.detail, /Unrecognized key: "foo"/);
    assert.equal(lost.endings.at(-2).reason, "restart-asked");
    assert.equal(lost.restarts, endings.length + 1, "one attempt, and no other");

    await bot.run(`cat /tmp/good.json > ${config}`);
    const cured = await bot.readyAfter(gateway_pid);
    assert.equal(cured.crash_loop, null);
    assert.equal((await stack.fetch("/", { token })).status, 200);
  });

  await t.test("no process is left over", async (t) => {
    const { processes, memory } = await bot.status();
    t.diagnostic(`${processes.all} processes, ${memory.current >> 20} MiB`);
    assert.equal(processes.zombies, 0);
    assert.equal((await stack.containerOf("dev-1")).id, bot.id, "one container all along");
  });
});

/** Asks for the page again and again, a few at a time, until told that it was enough. */
function keepAsking(t, stack, token) {
  let enough = false;
  t.after(() => {
    enough = true;
  });
  const answers = [];
  const ask = async () => {
    while (!enough) {
      const asked = performance.now();
      const { status } = await stack.fetch("/", { token });
      answers.push({ status, seconds: (performance.now() - asked) / 1_000 });
    }
  };
  const asking = [ask(), ask(), ask()];
  return {
    async allAnswered() {
      enough = true;
      await Promise.all(asking);
      const slowest = Math.max(...answers.map(({ seconds }) => seconds));
      t.diagnostic(`${answers.length} requests, the slowest took ${slowest.toFixed(1)} s`);
      assert.deepEqual(answers.filter(({ status }) => status !== 200), []);
    },
  };
}
