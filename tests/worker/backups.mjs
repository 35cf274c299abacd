// Alice's bot and its backups: what her bucket has, what the fake supervisor says of it, and what became known.
import assert from "node:assert/strict";
import { ALICE, startWorker } from "./harness.mjs";
import { until } from "../until.mjs";

export const SNAPSHOTS = "/api/bot/snapshots";
export const DAY = 24 * 60 * 60 * 1_000;

/** A snapshot, as the supervisor says that it took it. */
export const taken = (id, taken_at, change = {}) => ({
  id, taken_at, reason: "change", run: 1, gateway_version: "2026.9.6", amount: { files: 3, bytes: 400 }, added_bytes: 50, ...change,
});
/** From what the home of a run was made. */
export const report = (snapshot, restored_at, change = {}) => ({
  snapshot, taken_at: 1, restored_at, amount: { files: 3, bytes: 400 }, duration_ms: 5, compared: 6, mismatches: 0, passed_over: [], ...change,
});
/** The part about backups in a supervisor's status. */
export const backup = (change = {}) => ({ restored: report(null, 10), under_way: null, taken: [], error: null, maintained: null, changed: false, ...change });

/** A Worker whose bucket has these snapshots of Alice's, in this order. */
export async function start(t, ...ids) {
  const worker = await startWorker(t);
  const bucket = await worker.mf.getR2Bucket("BUCKET");
  for (const id of ids) await store(bucket, id);
  return { worker, bucket };
}

/** Puts one there so much later that the bucket's clock shows it. */
export async function store(bucket, id) {
  const { uploaded } = await bucket.put(`users/${ALICE}/repo/snapshots/${id}`, "sealed");
  await until(() => Date.now() > uploaded.getTime(), "the clock went on");
}

/** Runs Alice's bot with a supervisor that says this of its backups. */
export async function run(worker, change) {
  await worker.fake(ALICE, "set", { backup: backup(change) });
  assert.equal((await worker.as(ALICE, "/")).status, 200);
}

export const call = (worker, method, path, document) => worker.call({ sub: ALICE }, method, path, document);
export const bot = (worker) => call(worker, "GET", "/api/bot");
export const starts = async (worker) => (await worker.record(ALICE)).starts.map(({ env }) => env.MOLTBOT_RESTORE);

/** The events of this kind in her history, the newest first. */
export const events = async (worker, kind) => (await call(worker, "GET", "/api/bot/events")).events.filter((event) => event.kind === kind);

/** Waits until her history has so many events of this kind. */
export const told = (worker, kind, count = 1) =>
  until(async () => {
    const found = await events(worker, kind);
    return found.length >= count ? found : null;
  }, `the history has ${kind}`);

/** Ends the container, and looks until that was noticed. */
export async function end(worker, how) {
  await worker.fake(ALICE, how);
  await until(async () => (await bot(worker)).state !== "running", "the end was noticed");
}
