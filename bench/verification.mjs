// Measures what verifying a caller costs in workerd: the first time a token is seen, and again. Time stands still in
// workerd between two I/O operations, so this counts the CPU time of workerd's process over many requests, and takes
// off what a request costs that is refused before any verification. What is left also holds the rate limit and the
// table of users (read from memory), which come after verification and cannot be left out.
import { readFileSync, readdirSync } from "node:fs";
import { ALICE, startWorker } from "../tests/worker/harness.mjs";

const REQUESTS = 4000;
const AT_ONCE = 8;
const ROUNDS = 3;

const endings = [];
const before = new Set(workerds());
try {
  const worker = await startWorker({ after: (ending) => endings.push(ending) }, { limits: { ADDRESS_LIMIT: 1e6, USER_LIMIT: 1e6 } });
  const pid = workerds().find((id) => !before.has(id));
  const { provider } = worker;
  // Every request ends in the same refusal: an admin route, and no admin's token.
  const path = `/api/admin/bots/${ALICE}`;
  const cost = async (tokens) => {
    const begun = cpuMs(pid);
    let next = 0;
    const one = async () => {
      while (next < REQUESTS) {
        const authorization = tokens(next);
        next += 1;
        await (await worker.fetch(path, { headers: authorization ? { authorization } : {} })).arrayBuffer();
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    return (cpuMs(pid) - begun) / REQUESTS;
  };
  const best = async (measure) => {
    const found = [];
    for (let round = 0; round < ROUNDS; round += 1) found.push(await measure());
    return Math.min(...found);
  };
  await cost(() => undefined);
  const base = await best(() => cost(() => undefined));
  console.log(`\nverifying an access token, CPU milliseconds on top of a refused request's ${base.toFixed(3)}`);
  console.log(`  ${"".padEnd(10)} ${"first".padStart(8)} ${"again".padStart(8)}`);
  for (const key of Object.values(provider.keys)) {
    const first = await best(() => {
      const tokens = Array.from({ length: REQUESTS }, () => `Bearer ${provider.token({ sub: ALICE }, key)}`);
      return cost((i) => tokens[i]);
    });
    const known = `Bearer ${provider.token({ sub: ALICE }, key)}`;
    const again = await best(() => cost(() => known));
    console.log(`  ${key.alg.padEnd(10)} ${(first - base).toFixed(3).padStart(8)} ${(again - base).toFixed(3).padStart(8)}`);
  }
} finally {
  for (const ending of endings.reverse()) await ending();
}

function workerds() {
  const ids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return ids.filter((id) => {
    try {
      return readFileSync(`/proc/${id}/comm`, "utf8").trim() === "workerd" && isOurs(id);
    } catch {
      return false;
    }
  });
}

/** Started by this process, directly or through a launcher. */
function isOurs(id) {
  for (let at = id; at !== "1"; ) {
    if (at === String(process.pid)) return true;
    at = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${at}/status`, "utf8"))?.[1] ?? "1";
    if (at === "0") return false;
  }
  return false;
}

/** User and system time of all its threads, in milliseconds; the kernel counts in hundredths of a second. */
function cpuMs(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /, "").split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
