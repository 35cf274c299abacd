// Measures the whole chain on this machine: how long a cold start takes and where, what Worker, Sandbox and
// ingress add to a warm request against the gateway asked directly, and what the supervisor costs at rest. Prints
// ratios beside milliseconds, because milliseconds are this machine's and ratios are ours.
import { docker, startStack } from "../tests/e2e/stack.mjs";
import { until } from "../tests/until.mjs";

const WARM_UP = 50;
const REQUESTS = 400;
// Small, answered from memory, and the same bytes with and without a trusted proxy in front.
const GATEWAY_PATH = "/startupz";

// Long enough for six probes of the gateway, the supervisor's only regular work.
const REST_SECONDS = 60;
// What the supervisor may take at rest, by DESIGN: it runs beside every bot that is awake.
const MEMORY_AIM_MB = 20;
const CPU_AIM_PERCENT = 0.2;

const endings = [];
try {
  const stack = await startStack({ after: (ending) => endings.push(ending) });
  const token = await stack.token("dev-1");
  await coldStart(stack, token);
  await warmRequests(stack, token);
  await rest(stack);
} finally {
  for (const ending of endings.reverse()) await ending();
}

async function coldStart(stack, token) {
  const begun = performance.now();
  const since = () => Math.round(performance.now() - begun);
  const page = stack.fetch("/", { token }).then(async (answer) => {
    await answer.text();
    return { status: answer.status, at: since() };
  });
  let supervisor;
  await until(async () => {
    const status = await (await stack.fetch("/api/bot", { token })).json();
    if (status.start && supervisor === undefined) supervisor = since();
    return status.state === "running";
  }, "the bot runs", { deadlineMs: 180_000, pauseMs: 25 });
  const { status, at } = await page;
  if (status !== 200) throw new Error(`the first request was answered ${status}`);
  const { start, restored } = await (await stack.fetch("/api/bot", { token })).json();
  console.log("\ncold start, one bot, milliseconds");
  row("container and supervisor", supervisor);
  row("restore (a new bot has nothing yet)", restored.duration_ms);
  row("gateway: spawned to TCP", start.tcp_ms);
  row("gateway: TCP to ready", start.ready_ms - start.tcp_ms);
  row("first answer after the request", at);
}

function row(name, value) {
  console.log(`  ${name.padEnd(36)} ${String(value).padStart(8)}`);
}

async function warmRequests(stack, token) {
  const { id } = await stack.containerOf("dev-1");
  // The ingress answers its Sandbox only; the secret that proves it is in the container's environment, as root sees it.
  const secret = await docker("exec", id, "printenv", "MOLTBOT_INGRESS_SECRET");
  const headers = { "x-moltbot-ingress-secret": secret };
  const inside = (port) => docker("exec", id, "node", "-e", probe(`http://127.0.0.1:${port}${GATEWAY_PATH}`, headers));
  const gateway = JSON.parse(await inside(18789));
  const ingress = JSON.parse(await inside(8080));
  const whole = await measure(new URL(GATEWAY_PATH, stack.url), { authorization: `Bearer ${token}` });
  console.log(`\nwarm request, ${REQUESTS} one after the other, milliseconds, and against the gateway asked directly`);
  console.log(`  ${"".padEnd(36)} ${["p50", "p99", "p50", "p99"].map((name) => name.padStart(8)).join(" ")}`);
  for (const [name, { p50, p99 }] of [
    ["the gateway asked directly", gateway],
    ["through the ingress", ingress],
    ["through Worker, Sandbox and ingress", whole],
  ]) {
    const ratios = [p50 / gateway.p50, p99 / gateway.p99].map((ratio) => `× ${ratio.toFixed(1)}`);
    const cells = [p50.toFixed(2), p99.toFixed(2), ...ratios].map((cell) => cell.padStart(8));
    console.log(`  ${name.padEnd(36)} ${cells.join(" ")}`);
  }
}

async function rest(stack) {
  const { id } = await stack.containerOf("dev-1");
  const supervisor = await account(id);
  await new Promise((resolve) => setTimeout(resolve, REST_SECONDS * 1_000));
  const { cpuNs, atNs, residentKb, peakKb } = await account(id);
  const percent = ((cpuNs - supervisor.cpuNs) / (atNs - supervisor.atNs)) * 100;
  console.log(`\nthe supervisor at rest, over ${REST_SECONDS} s after those requests`);
  aimed("resident memory, MB", residentKb / 1_024, 1, MEMORY_AIM_MB);
  aimed("its peak, MB", peakKb / 1_024, 1, MEMORY_AIM_MB);
  aimed("of one core, %", percent, 3, CPU_AIM_PERCENT);
}

function aimed(name, value, digits, aim) {
  console.log(`  ${name.padEnd(36)} ${value.toFixed(digits).padStart(8)}   aim: under ${aim}`);
}

/** What the kernel says of the first process: time on a core of all its threads, and memory. */
async function account(id) {
  const script = "cat /proc/1/task/*/schedstat; date +%s%N; grep -E '^Vm(RSS|HWM)' /proc/1/status";
  const lines = (await docker("exec", id, "sh", "-c", script)).split("\n");
  const threads = lines.filter((line) => /^\d+ \d+ \d+$/.test(line));
  const kb = (name) => Number(lines.find((line) => line.startsWith(name)).match(/\d+/)[0]);
  return {
    cpuNs: threads.reduce((sum, line) => sum + Number(line.split(" ")[0]), 0),
    atNs: Number(lines.find((line) => /^\d+$/.test(line))),
    residentKb: kb("VmRSS"),
    peakKb: kb("VmHWM"),
  };
}

// The same code on both sides of the container's wall, sent there as text.
async function measure(url, headers) {
  const times = [];
  for (let i = 0; i < WARM_UP + REQUESTS; i += 1) {
    const begun = performance.now();
    const answer = await fetch(url, { headers });
    await answer.arrayBuffer();
    if (answer.status !== 200) throw new Error(`${url} answered ${answer.status}`);
    if (i >= WARM_UP) times.push(performance.now() - begun);
  }
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))];
  return { p50: at(0.5), p99: at(0.99) };
}

function probe(url, headers) {
  return `const WARM_UP=${WARM_UP},REQUESTS=${REQUESTS};${measure};
    measure(${JSON.stringify(url)}, ${JSON.stringify(headers)}).then((found) => console.log(JSON.stringify(found)))`;
}
