// The log that is followed, and the processes of a bot.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ALICE, BOB, startWorker } from "./harness.mjs";

test("a log is filtered and followed as its container says it", async (t) => {
  const worker = await startWorker(t);
  const follow = (query = "") => worker.as(ALICE, `/api/bot/logs/follow${query}`);
  assert.equal((await follow()).status, 409);
  assert.deepEqual((await worker.record(ALICE)).starts, [], "nobody is woken by a look");
  await worker.as(ALICE, "/");
  await worker.fake(ALICE, "set", { follows: true });
  const answer = await follow("?lines=5&contains=a+b%25");
  assert.match(answer.headers.get("content-type"), /^text\/plain/);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  // Each piece as it comes: the next one is made when this one was seen.
  for (const number of [1, 2]) {
    assert.match((await reader.read()).value, new RegExp(`data: ${number}`));
    await worker.fake(ALICE, "next-event");
  }
  await reader.cancel();
  assert.ok((await worker.record(ALICE)).orders.includes("GET /v1/logs?lines=5&contains=a%20b%25&follow=1"));
  const admins = await worker.asAdmin("GET", `/api/admin/bots/${ALICE}/logs/follow?lines=1`).catch(String);
  assert.ok((await worker.record(ALICE)).orders.includes("GET /v1/logs?lines=1&follow=1&admin=1"), `${admins}`);
  await worker.as(ALICE, "/api/bot/logs?contains=x");
  assert.ok((await worker.record(ALICE)).orders.includes("GET /v1/logs?lines=200&contains=x"));
  assert.equal((await follow(`?contains=${"x".repeat(201)}`)).status, 400);
  assert.equal((await worker.as(BOB, `/api/admin/bots/${ALICE}/logs/follow`)).status, 403);
});

test("processes are told in short, the largest first", async (t) => {
  const worker = await startWorker(t);
  assert.equal((await worker.as(ALICE, "/api/bot/processes")).status, 409);
  await worker.as(ALICE, "/");
  const process = (pid, name) => ({ pid, parent: 1, name, state: "S", user: 1500, resident: pid, cpu_ms: 1 });
  const processes = Array.from({ length: 500 }, (_, pid) => process(pid, `<b>\u0000${"x".repeat(50)}`));
  const uses = { processes: { all: 4_000_000_000, zombies: 3 }, memory: { current: 5, peak: 6, limit: 7, oom_kills: 0 }, disk: { used: 8, size: 9 } };
  await worker.fake(ALICE, "set", { processes, uses });
  const { processes: told, ...rest } = await (await worker.as(ALICE, "/api/bot/processes")).json();
  assert.equal(told.length, 200);
  assert.deepEqual(told[0], { ...process(499, `<b>?${"x".repeat(28)}`) });
  assert.deepEqual(rest, { total: 4_000_000_000, zombies: 3, memory: 5, memory_peak: 6, memory_limit: 7, disk: 8, disk_size: 9 });
  await worker.fake(ALICE, "set", { processes: "no list" });
  assert.equal((await (await worker.as(ALICE, "/api/bot/processes")).json()).code, "bot-waking");
  assert.equal((await worker.asAdmin("GET", `/api/admin/bots/${BOB}/processes`)).code, "bot-asleep");
});
