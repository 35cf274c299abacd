// Bots whose agents start what does not want to go: nothing of it outlives an ordered restore or a stop. Everything is real.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fightersAreGone } from "./hostile.mjs";
import { startStack } from "./stack.mjs";

test("fight", { timeout: 30 * 60_000 }, async (t) => {
  const stack = await startStack(t);
  const names = ["dev-1", "dev-2"];

  await t.test("a bot that fights back is gone before a restore and a stop", async (t) => {
    const served = names.map(async (name) => stack.fetch("/", { token: await stack.token(name) }));
    for (const { status } of await Promise.all(served)) assert.equal(status, 200);
    await fightersAreGone(t, stack, ...names);
  });
});
