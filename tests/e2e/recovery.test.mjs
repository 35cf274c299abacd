// Follows docs/recovery.md through every disaster, each made first: the commands of a section are run as they stand, in one
// shell, against the whole system with the real supervisor. The gateway is a small one; what is at stake is the home.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { mint, password } from "../worker/repository.mjs";
import { scratch } from "../worker/restic.mjs";
import { BACK_MS, Bot } from "./bot.mjs";
import { Bucket } from "./bucket.mjs";
import { docker, root, startEcho } from "./stack.mjs";
import { until } from "../until.mjs";

const run = promisify(execFile);
const page = await readFile(join(root, "docs/recovery.md"), "utf8");
const OBJECTS = "wrangler/v3/do";

/** The commands below a heading, up to the next one. */
function section(heading) {
  const [, text] = page.split(`\n## ${heading}\n`);
  const [own] = text.split("\n## ");
  return [...own.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, commands]) => commands);
}

test("recovery", { timeout: 30 * 60_000 }, async (t) => {
  const stack = await startEcho(t);
  const dir = await scratch(t);
  const { id } = stack.user("dev-1");
  let token;
  let admin;
  // Tokens name the address of the identity provider, which is another one after a restart.
  const signIn = async () => ([token, admin] = [await stack.token("dev-1"), await stack.token("dev-admin")]);
  const json = async (path, init) => (await stack.fetch(path, { token, ...init })).json();
  const post = (path, document) =>
    json(path, { method: "POST", ...(document && { body: JSON.stringify(document), headers: { "content-type": "application/json" } }) });
  const serves = () => until(async () => (await stack.fetch("/headers", { token })).ok, "the bot is served", { deadlineMs: BACK_MS });
  const bot = async () => new Bot((await stack.containerOf("dev-1")).id);
  const write = async (words) => (await bot()).own(`mkdir -p notes && printf %s '${words}' > notes/words`);
  const words = async () => (await bot()).own("cat notes/words");
  const events = async () => (await json("/api/bot/events")).events;

  /** Runs a section's commands as somebody at a laptop would. */
  const follow = async (heading) => {
    const tools = join(dir, "tools");
    await mkdir(tools, { recursive: true });
    await writeFile(join(tools, "rclone"), `#!/bin/sh\nexec node "${root}/tests/e2e/rclone.mjs" "$@"\n`);
    await chmod(join(tools, "rclone"), 0o755);
    const env = {
      PATH: `${tools}:${process.env.PATH}`,
      HOME: dir,
      WORKER: new URL(stack.url).origin,
      USER_ID: id,
      ADMIN_TOKEN: admin,
      RESTIC_PASSWORD: password(id, stack.backupKey),
      // The stand-in for rclone goes through the Worker, which deletes for the current run alone.
      MAINTENANCE_TOKEN: mint(id, { run: (await json("/api/bot")).run, scope: "maintain", key: stack.backupKey, expiresAt: Date.now() + 600_000 }),
    };
    // What is to be filled in is in the environment.
    const [given] = section("The bot's own calls").map((text) => text.replace(/^export ADMIN_TOKEN=.*$/m, ""));
    const script = ["set -eu", given, ...section(heading)].join("\n");
    return (await run("bash", ["-c", script], { env, cwd: dir, maxBuffer: 16 << 20 })).stdout;
  };
  const saved = async () => {
    const before = (await json("/api/bot/snapshots")).snapshots.map((one) => one.id);
    const since = Date.now();
    await post("/api/bot/snapshots");
    await (await bot()).saved(since);
    const { snapshots } = await json("/api/bot/snapshots");
    return snapshots.find((one) => !before.includes(one.id))?.id;
  };

  await signIn();
  await serves();
  await write("one");
  await saved();

  await t.test("a lost container", async () => {
    await docker("kill", (await bot()).id);
    assert.match(await follow("A lost container"), /"started"/);
    await serves();
    assert.equal(await words(), "one");
  });

  await t.test("a lost Sandbox", async () => {
    await stack.stop();
    const places = (await readdir(join(stack.state, OBJECTS))).filter((name) => name.includes("Sandbox"));
    assert.ok(places.length > 0, "there was something to lose");
    for (const place of places) await rm(join(stack.state, OBJECTS, place), { recursive: true });
    await stack.start(new URL(stack.url).port);
    await signIn();
    assert.match(await follow("A lost Sandbox"), /"snapshots":\[\{/);
    await serves();
    assert.equal((await json("/api/bot")).run, 1, "it began again");
    assert.equal(await words(), "one");
  });

  await t.test("a deleted user", async () => {
    await stack.fetch(`/api/admin/users/${id}/delete`, { token: admin, method: "POST" });
    await until(async () => (await stack.running()).length === 0, "the bot is stopped");
    assert.equal((await stack.fetch("/headers", { token })).status, 403);
    await follow("A deleted user");
    await serves();
    assert.equal(await words(), "one");
  });

  await t.test("a wrong restore", async () => {
    await write("two");
    const two = await saved();
    await write("three");
    // Not saved by anybody but the restore itself.
    const wrong = (await json("/api/bot/snapshots")).snapshots.at(-1).id;
    assert.notEqual(wrong, two);
    const restored = async () => (await events()).filter(({ kind, detail }) => kind === "restored" && detail.startsWith(wrong.slice(0, 8)));
    // It was the newest once, and restored as such.
    const before = (await restored()).length;
    await post("/api/bot/snapshots/restore", { snapshot: wrong });
    await until(async () => (await restored()).length > before, "the wrong one is there", { deadlineMs: BACK_MS });
    await serves();
    assert.notEqual(await words(), "three");
    await follow("A wrong restore");
    await until(async () => (await serves()) && (await words()) === "three", "what was before is back", { deadlineMs: BACK_MS, pauseMs: 1_000 });
    await saved();
  });

  await t.test("a damaged repository", async () => {
    const bucket = new Bucket(stack, id);
    await (await bot()).own("head -c 6000000 /dev/urandom > big");
    const damaged = await saved();
    await (await bot()).own("rm big");
    await saved();
    await bucket.damageLargest();
    await follow("A damaged repository");
    await serves();
    assert.equal(await words(), "three");
    const left = (await json("/api/bot/snapshots")).snapshots.map((one) => one.id);
    assert.ok(left.length > 1 && !left.includes(damaged), "what could not be restored is gone, and nothing else");
    await write("four");
    await saved();
    assert.equal(await words(), "four");
  });

  await t.test("a missing snapshot", async () => {
    await write("five");
    await post("/api/bot/sleep");
    await until(async () => (await json("/api/bot")).state === "asleep", "it sleeps", { deadlineMs: BACK_MS });
    const [newest] = (await json("/api/bot/snapshots")).snapshots;
    await new Bucket(stack, id).forget(newest.id, (await json("/api/bot")).run);
    const refused = await json("/headers");
    assert.equal(refused.code, "bot-failed");
    assert.match(refused.detail, new RegExp(newest.id));
    await follow("A missing snapshot");
    await serves();
    assert.equal(await words(), "four");
  });
});
