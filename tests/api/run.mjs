// Has schemathesis call every operation of the OpenAPI document the Worker serves, as an owner and as an admin, in workerd
// with a fake container, and counts what it found. `cargo xtask test api` and `cargo xtask fuzz-api` run it.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ADMIN, ALICE, BOB, HOST, startWorker } from "../worker/harness.mjs";
import { startDns } from "../worker/counterparts.mjs";

/** The same requests each time, so that what was found is found again. */
const SEED = process.env.FUZZ_SEED ?? "20260101";
const ALL = 1_000_000_000;
const python = process.env.SCHEMATHESIS_PYTHON;
const program = process.env.SCHEMATHESIS_BIN;
const seconds = Number(process.env.FUZZ_SECONDS ?? 90);
/** What marks a line of the Worker's log that no input may cause: the platform itself has failed (`log::fault`). */
const FAULT = '"level":"error"';

const cleanups = [];
const t = { after: (cleanup) => cleanups.unshift(cleanup) };
let failed = 0;
let passed = 0;
try {
  await run();
} finally {
  for (const cleanup of cleanups) await cleanup();
}
// As the spec reporter closes, which `cargo xtask test` reads.
console.log(`ℹ pass ${passed}\nℹ fail ${failed}`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

async function run() {
  const resolver = await startDns(t);
  const worker = await startWorker(t, {
    bindings: { DNS_QUERY_URL: resolver.url },
    limits: { ADDRESS_LIMIT: ALL, USER_LIMIT: ALL, SIGN_IN_LIMIT: ALL },
  });
  await furnish(worker);
  const folder = await mkdtemp(join(tmpdir(), "moltworker-api-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const stop = stir(worker);
  t.after(stop);
  const owner = worker.provider.token({ sub: ALICE, exp: in_a_day() });
  const admin = worker.provider.token({ sub: ADMIN, exp: in_a_day(), aal: "aal2", app_metadata: { role: "admin" } });
  // The owner first: an admin may suspend them.
  for (const [who, token] of [["owner", owner], ["admin", admin]]) {
    const ended = await schemathesis(worker, folder, who, token);
    passed += ended.passed;
    failed += ended.failed;
  }
  const faults = worker.log.text.split("\n").filter((line) => line.startsWith("{") && line.includes(FAULT));
  const events = new Set(faults.map((line) => JSON.parse(line).event));
  for (const event of events) {
    const lines = faults.filter((line) => line.includes(`{"event":"${event}"`));
    console.log(`the Worker logged ${event} ${lines.length} times, first: ${lines[0]}`);
  }
  failed += events.size;
}

function in_a_day() {
  return Math.floor(Date.now() / 1000) + 24 * 60 * 60;
}

async function schemathesis(worker, folder, who, token) {
  console.log(`== as ${who}`);
  const report = join(folder, `${who}.json`);
  const child = spawn(python, [
    program, "--no-color", "--config-file", fileURLToPath(new URL("schemathesis.toml", import.meta.url)),
    "run", new URL("/api/openapi.json", worker.address).href,
    "--url", new URL("/", worker.address).href,
    "--header", `Host: ${HOST}`, "--header", `Authorization: Bearer ${token}`,
    "--checks", "all", "--continue-on-failure", "--seed", SEED, "--max-time", String(Math.max(1, Math.round(seconds / 2))),
    "--generation-database", "none", "--request-timeout", "20", "--report", "json", "--report-json-path", report,
  ], { stdio: ["ignore", "inherit", "inherit"], cwd: folder });
  const [code] = await once(child, "exit");
  const { test_cases: cases, operations, errors } = JSON.parse(await readFile(report, "utf8"));
  const wrong = cases.with_failures + Math.max(cases.errored, errors.length);
  // An operation that was never called proves nothing.
  const idle = operations.selected - operations.tested;
  if (idle > 0) console.log(`${idle} operations were not called as ${who}`);
  const failures = wrong + idle;
  return { passed: cases.generated - cases.with_failures - cases.errored, failed: code !== 0 && failures === 0 ? 1 : failures };
}

/** Something of everything, so that lists are not empty. */
async function furnish(worker) {
  const id = "ab".repeat(32);
  const amount = { files: 3, bytes: 30 };
  const snapshot = { id, taken_at: 1, reason: "manual", run: 1, gateway_version: "1", amount, added_bytes: 5, suspicious: null, raw: ["a.db: held"] };
  const restored = { snapshot: id, taken_at: 1, restored_at: 2, amount, duration_ms: 3, compared: 3, mismatches: 0, passed_over: [] };
  const backup = { restored, under_way: { doing: "restore", done: amount, total: null }, taken: [snapshot], changed: false };
  const bucket = await worker.mf.getR2Bucket("BUCKET");
  await bucket.put(`users/${ALICE}/repo/snapshots/${id}`, "x");
  await worker.fake(ALICE, "set", { snapshots: [snapshot], files: { "": "a file" }, backup });
  await worker.as(BOB, "/api/bot");
  await worker.giveDomain(ALICE, "claw.example.org");
  for (const scope of ["connect", "manage"]) await worker.call({ sub: ALICE }, "POST", "/api/bot/tokens", { name: scope, scope });
  await worker.asAdmin("POST", "/api/admin/invitations", { entry: "carol@example.org" });
  await worker.asAdmin("POST", "/api/admin/allow-list", { entry: "@example.org" });
}

/** Leads the owner's bot from one state to the next, so that each is told at some time, whatever was ordered meanwhile. */
function stir(worker) {
  let stopped = false;
  const steps = [{ phase: "ready" }, { phase: "restoring" }, { phase: "suspect" }, { phase: "crash-looped" }, { phase: "starting" }];
  const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));
  const once = async (step) => {
    await worker.asAdmin("POST", `/api/admin/users/${ALICE}/activate`);
    await worker.admin(ALICE, "start");
    await worker.fake(ALICE, "set", steps[step % steps.length]);
    if (step % 7 === 6) await worker.fake(ALICE, "die");
    await Promise.race([worker.as(ALICE, "/"), pause(1000)]);
    await worker.tick();
  };
  const loop = async () => {
    for (let step = 0; !stopped; step += 1) {
      await once(step).catch((error) => {
        // What is answered meanwhile has to be as the document says, here too.
        if (`${error}`.includes("openapi.json")) throw error;
      });
      await pause(500);
    }
  };
  const ended = loop();
  return async () => {
    stopped = true;
    await ended;
  };
}
