// Where a request's time goes, by the profiler of V8 itself: samples of what runs in the isolate. What workerd does
// outside of JavaScript and wasm (HTTP, storage, the way between its parts) is `(program)` and what is not sampled.
const INTERVAL_US = 100;

/** Runs `work` under the profiler; microseconds of each function, without what it called, the largest first. */
export async function profile(port, work) {
  const targets = await (await fetch(`http://127.0.0.1:${port}/json/list`)).json();
  const socket = new WebSocket(targets[0].webSocketDebuggerUrl);
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", () => reject(new Error("the debugger is not let in")));
  });
  const asked = new Map();
  socket.addEventListener("message", ({ data }) => {
    const { id, result, error } = JSON.parse(data);
    const answer = asked.get(id);
    if (answer && error) answer.reject(new Error(error.message));
    answer?.resolve(result);
  });
  let last = 0;
  const ask = (method, params = {}) => new Promise((resolve, reject) => {
    last += 1;
    asked.set(last, { resolve, reject });
    socket.send(JSON.stringify({ id: last, method, params }));
  });
  try {
    await ask("Profiler.enable");
    await ask("Profiler.setSamplingInterval", { interval: INTERVAL_US });
    await ask("Profiler.start");
    await work();
    const { profile: taken } = await ask("Profiler.stop");
    return summed(taken);
  } finally {
    socket.close();
  }
}

function summed({ nodes, samples, timeDeltas }) {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const sums = new Map();
  for (const [at, node] of samples.entries()) {
    const name = names.get(node);
    sums.set(name, (sums.get(name) ?? 0) + timeDeltas[at]);
  }
  return [...sums].sort(([, a], [, b]) => b - a);
}

/** Functions of wasm have no names in what ships: they are one. */
function nameOf({ functionName, url }) {
  if (functionName.startsWith("(")) return functionName;
  return url.startsWith("wasm://") ? "wasm" : functionName || "(anonymous)";
}
