// Measures the whole chain on this machine: how long a cold start takes and where, and what Worker, Sandbox and
// ingress add to a warm request against the gateway asked directly. Prints ratios beside milliseconds, because
// milliseconds are this machine's and ratios are ours.
import { docker, startStack, until } from "../tests/e2e/stack.mjs";

const WARM_UP = 50;
const REQUESTS = 400;
// Small, answered from memory, and the same bytes with and without a trusted proxy in front.
const GATEWAY_PATH = "/startupz";

const endings = [];
try {
  const stack = await startStack({ after: (ending) => endings.push(ending) });
  const token = await stack.token("dev-1");
  await coldStart(stack, token);
  await warmRequests(stack, token);
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
  await until("the bot runs", async () => {
    const status = await (await stack.fetch("/api/bot", { token })).json();
    if (status.start && supervisor === undefined) supervisor = since();
    return status.state === "running";
  }, { deadlineMs: 180_000, pauseMs: 25 });
  const { status, at } = await page;
  if (status !== 200) throw new Error(`the first request was answered ${status}`);
  const { start } = await (await stack.fetch("/api/bot", { token })).json();
  console.log("\ncold start, one bot, milliseconds");
  row("container and supervisor", supervisor);
  row("restore (there are no backups yet)", 0);
  row("gateway: spawned to TCP", start.tcp_ms);
  row("gateway: TCP to ready", start.ready_ms - start.tcp_ms);
  row("first answer after the request", at);
}

function row(name, value) {
  console.log(`  ${name.padEnd(36)} ${String(value).padStart(8)}`);
}

async function warmRequests(stack, token) {
  const { id } = await stack.containerOf("dev-1");
  const inside = (port) => docker("exec", id, "node", "-e", probe(`http://127.0.0.1:${port}${GATEWAY_PATH}`, {}));
  const gateway = JSON.parse(await inside(18789));
  const ingress = JSON.parse(await inside(8080));
  const whole = await measure(new URL(GATEWAY_PATH, stack.url), { authorization: `Bearer ${token}` });
  console.log(`\nwarm request, ${REQUESTS} one after the other, milliseconds`);
  console.log(`  ${"".padEnd(36)} ${"p50".padStart(8)} ${"p99".padStart(8)}   against the gateway (p50)`);
  for (const [name, { p50, p99 }] of [
    ["the gateway asked directly", gateway],
    ["through the ingress", ingress],
    ["through Worker, Sandbox and ingress", whole],
  ]) {
    console.log(`  ${name.padEnd(36)} ${p50.toFixed(2).padStart(8)} ${p99.toFixed(2).padStart(8)}   × ${(p50 / gateway.p50).toFixed(1)}`);
  }
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
