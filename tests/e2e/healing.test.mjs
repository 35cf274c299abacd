// A bot that heals while it is used, with the real gateway in a real container: killed, hung, out of memory, and
// with a config it rejects.
import assert from "node:assert/strict";
import { test } from "node:test";
import { docker, startStack, until } from "./stack.mjs";

// A gateway needs a quarter of a minute to start, more on a busy machine; a hang is found within forty seconds.
const BACK_MS = 180_000;
// What a gateway leaves of this is less than the hog below takes, and less than the gateway itself has.
const TIGHT = "900m";
const HOG_MB = 600;

test("healing", { timeout: 40 * 60_000 }, async (t) => {
  const stack = await startStack(t);
  const token = await stack.token("dev-1");
  assert.equal((await stack.fetch("/", { token })).status, 200);
  const bot = new Bot((await stack.containerOf("dev-1")).id);

  await t.test("a gateway that is killed comes back, and no request is lost", async (t) => {
    const { gateway_pid } = await bot.status();
    const traffic = keepAsking(stack, token);
    await bot.run(`kill -9 ${gateway_pid}`);
    const { endings } = await bot.readyAfter(gateway_pid);
    await traffic.allAnswered(t);
    assert.deepEqual(endings.map(({ reason, exit }) => [reason, exit.value]), [["crash", 9]]);
  });

  await t.test("a gateway that hangs is replaced, and no request is lost", async (t) => {
    const { gateway_pid } = await bot.status();
    const traffic = keepAsking(stack, token);
    await bot.run(`kill -STOP ${gateway_pid}`);
    const { endings } = await bot.readyAfter(gateway_pid);
    await traffic.allAnswered(t);
    assert.equal(endings.at(-1).reason, "probe-timeout");
  });

  await t.test("a gateway the kernel kills for want of memory is told from one that crashed", async () => {
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

  await t.test("a config the gateway rejects is explained without a loop, and cured by a better one", async () => {
    const config = "/data/moltbot/.openclaw/openclaw.json";
    const { gateway_pid, endings } = await bot.status();
    await bot.run(`cp ${config} /tmp/good.json && sed -i '0,/{/s//{ "foo": 1,/' ${config}`);
    await bot.control("POST", "/v1/restart");
    const lost = await until("it is given up", () => bot.status().then((s) => s.phase === "crash-looped" && s), {
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

  await t.test("nothing of it is left over", async (t) => {
    const { processes, memory } = await bot.status();
    t.diagnostic(`${processes.all} processes, ${memory.current >> 20} MiB`);
    assert.equal(processes.zombies, 0);
    assert.equal((await stack.containerOf("dev-1")).id, bot.id, "one container all along");
  });
});

/** One container, looked at from inside. */
class Bot {
  constructor(id) {
    this.id = id;
  }

  run(script) {
    return docker("exec", this.id, "sh", "-c", script);
  }

  async control(method, path) {
    const ask = `fetch("http://127.0.0.1:8081${path}", { method: "${method}", headers: {
      authorization: "Bearer " + process.env.MOLTBOT_CONTROL_TOKEN } }).then(async (r) => console.log(await r.text()))`;
    return JSON.parse(await docker("exec", this.id, "node", "-e", ask));
  }

  status() {
    return this.control("GET", "/v1/status");
  }

  readyAfter(pid) {
    const met = async () => {
      const status = await this.status();
      return status.phase === "ready" && status.gateway_pid !== pid && status;
    };
    return until(`a gateway after ${pid} is ready`, met, { deadlineMs: BACK_MS, pauseMs: 500 });
  }
}

/** Asks for the page again and again, a few at a time, until told that it was enough. */
function keepAsking(stack, token) {
  let enough = false;
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
    async allAnswered(t) {
      enough = true;
      await Promise.all(asking);
      const slowest = Math.max(...answers.map(({ seconds }) => seconds));
      t.diagnostic(`${answers.length} requests, the slowest took ${slowest.toFixed(1)} s`);
      assert.deepEqual(answers.filter(({ status }) => status !== 200), []);
    },
  };
}
