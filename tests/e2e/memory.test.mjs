// A bot never forgets: what was said, set and made is there again after its container was killed, after sleep, and
// after the Worker was replaced, and with kills in the middle of saving and of coming back. The whole system, with the
// real gateway and stock restic as the witness.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { password } from "../worker/repository.mjs";
import { Restic, address, scratch } from "../worker/restic.mjs";
import { BACK_MS, Bot, HOME } from "./bot.mjs";
import { atRandom, random, timed } from "./chance.mjs";
import { Device } from "./device.mjs";
import { describe } from "./home.mjs";
import { Notes } from "./notes.mjs";
import { Owner, save } from "./owner.mjs";
import { docker, root, startStack } from "./stack.mjs";
import { until } from "../until.mjs";

const run = promisify(execFile);
const BIG_MB = 200;
const KILLS = 20;
// From a container's start to its restore, on a busy machine: kills fall before, into and after that.
const AROUND_RESTORE_MS = 2_000;
const COLOUR = "#1f6feb";
const CONFIG = ".openclaw/openclaw.json";
const PROJECT = ".openclaw/workspace/project";
// Of these a starting or stopping gateway rewrites rows: who holds what, how its boots went, why it restarted, what it has
// checked, when a session was last looked at. Of every other table each row has to be there again as it was.
const REWRITTEN = new Set([
  "agent_database_leases", "agent_databases", "agent_integrity_verifications", "config_health_entries",
  "diagnostic_events", "gateway_boot_lifecycle", "gateway_restart_sentinel", "schema_meta", "session_key_contract",
  "session_nodes", "session_windows", "state_leases",
]);
// A job's row says when it ran last and runs next, and the gateway has jobs of its own: none of the rows may be gone.
const RESCHEDULED = new Set(["cron_jobs"]);

test("memory", { timeout: 40 * 60_000 }, async (t) => {
  // With a configuration of its own, which can be deployed again.
  const stack = await startStack(t, { dockerfile: join(root, "Dockerfile") });
  let token = await stack.token("dev-1");
  const user = stack.user("dev-1").id;
  const dir = await scratch(t);
  const restic = (token) => new Restic(dir, address(stack.url, user, token), password(user, stack.backupKey));
  const device = new Device(stack, token);
  let bot;

  /** Asks until the bot answers; what its home was made from. */
  const wakes = async (t) => {
    const begun = performance.now();
    await until(async () => (await stack.fetch("/", { token })).ok, "it is served", { deadlineMs: BACK_MS });
    const took = performance.now() - begun;
    bot = new Bot((await stack.containerOf("dev-1")).id);
    const { backup: { restored } } = await bot.status();
    const { files, bytes } = restored.amount;
    t.diagnostic(`served after ${seconds(took)}; ${files} files, ${bytes >> 20} MiB restored in ${seconds(restored.duration_ms)}`);
    return restored;
  };
  /** Writes one more note. */
  const write = (note) => bot.own(`echo written ${note} > "${note}"`);
  /** Everything that must be the same afterwards, as the gateway and as the files say. */
  const remembered = async () => {
    await device.connect();
    const conversation = await device.history();
    // The model on offer is the platform's, and its stand-in may move.
    const { config: { models, ...config } } = await bot.rpc("config.get", {});
    const { paired } = await bot.rpc("device.pair.list", {});
    device.close();
    const devices = paired.map(({ deviceId, publicKey, scopes, createdAtMs }) => ({ deviceId, publicKey, scopes, createdAtMs }));
    return { conversation, config, devices };
  };

  let said;
  let before;

  await t.test("chat, settings and files are saved automatically within two minutes", async (t) => {
    assert.equal((await wakes(t)).snapshot, null, "a new bot begins with nothing");
    await device.connect();
    await device.say("remember the blue door");
    await paintBot(device);
    device.close();
    await makeProject(bot, dir);
    said = await remembered();
    assert.match(JSON.stringify(said.conversation), /You said: .*remember the blue door/);
    assert.equal(said.config.ui.seamColor, COLOUR);
    assert.deepEqual(said.devices.map(({ deviceId }) => deviceId), [device.id]);

    await bot.own(`head -c ${BIG_MB}M /dev/urandom > big.bin`);
    const then = Date.now();
    await bot.saved(then);
    t.diagnostic(`all of it, ${BIG_MB} MB among it, is saved after ${seconds(Date.now() - then)}`);
    before = await bot.home();
  });

  await t.test("the next request after SIGKILL restores everything", async (t) => {
    const snapshot = (await bot.status()).backup.taken.at(-1).id;
    await docker("kill", bot.id);
    assert.equal((await wakes(t)).snapshot, snapshot);
    assertSame(await bot.home(), before);
    assert.deepEqual(await remembered(), said);
    await assertProject(bot, dir);
  });

  await t.test("stock restic restores what the supervisor saved", async () => {
    await write("for restic");
    const taken = await bot.save();
    const operator = restic(stack.operatorToken);
    const listed = (await operator.snapshots()).at(-1);
    assert.deepEqual([listed.id, listed.tags.includes(`run:${taken.run}`)], [taken.id, true]);
    assert.match(await operator.run("check", "--read-data"), /no errors were found/);
    await operator.run("restore", "latest", "--target", join(dir, "restored"));
    assertSame(await describe(join(dir, "restored", HOME)), await bot.home());
  });

  await t.test("a container's own token can neither delete nor overwrite", async () => {
    const own = await docker("exec", bot.id, "printenv", "MOLTBOT_REPOSITORY_TOKEN");
    const before = await objects(restic(stack.operatorToken));
    const attempt = restic(own).start("forget", "--keep-last", "1", "--prune");
    // restic tries a refused deletion again for a quarter of an hour; one refusal is enough here.
    await until(() => attempt.stderr.includes("403"), "the deletion is refused");
    attempt.child.kill("SIGINT");
    assert.notEqual((await attempt.ended).code, 0);
    for (const [kind, [name]] of Object.entries(before)) {
      for (const [method, body] of [["DELETE"], ["POST", "something else"]]) {
        const answer = await stack.fetch(`/_repo/${user}/${kind}/${name}`, { method, body, token: own });
        assert.ok(answer.status >= 400 && answer.status < 500, `${method} ${kind} is answered ${answer.status}`);
      }
    }
    assert.deepEqual(await objects(restic(stack.operatorToken)), before);
  });

  await t.test("sleep takes a final snapshot, and waking restores it", async (t) => {
    said = await remembered();
    await write("just before sleep");
    before = await bot.home();
    assert.ok((await stack.fetch("/api/bot/sleep", { method: "POST", token })).ok);
    await until(async () => (await (await stack.fetch("/api/bot", { token })).json()).state === "asleep", "it sleeps");
    assert.deepEqual(await stack.running(), []);
    const { snapshot } = await wakes(t);
    const tags = (await restic(stack.operatorToken).snapshots()).find(({ id }) => id === snapshot)?.tags;
    assert.ok(tags?.includes("reason:stop"), `${tags}`);
    assertSame(await bot.home(), before);
    assert.deepEqual(await remembered(), said);
  });

  await t.test("a redeployed Worker finds the running bot and continues to save it", async (t) => {
    const { id, run } = await stack.containerOf("dev-1");
    await stack.redeploy();
    await until(async () => (await stack.fetch("/", { token })).ok, "it is served");
    assert.deepEqual(await stack.containerOf("dev-1").then((now) => [now.id, now.run]), [id, run]);
    assert.deepEqual(await remembered(), said);
    await write("after a deploy");
    await bot.save();
  });

  await t.test("a Worker that restarts without its containers restores everything", async (t) => {
    await write("before all is stopped");
    before = await bot.home();
    await bot.save();
    await stack.restart();
    assert.deepEqual(await stack.containers(), []);
    // The identity provider has moved, and the stand-in model, which the platform's key in the config follows.
    token = device.token = await stack.token("dev-1");
    await wakes(t);
    const now = await bot.home();
    for (const path of Object.keys(before.files).filter((path) => path.startsWith(CONFIG))) now.files[path] = before.files[path];
    assertSame(now, before);
    assert.deepEqual(await remembered(), said);
    await assertProject(bot, dir);
  });

  await t.test("twenty kills during snapshots and restores lose no saved data", async (t) => {
    const seed = Number(process.env.MOLTBOT_SEED ?? randomInt(2 ** 31));
    t.diagnostic(`MOLTBOT_SEED=${seed}`);
    const chance = random(seed);
    const owner = await Owner.of(stack, "dev-1");
    const notes = new Notes(seed);
    const operator = restic(stack.operatorToken);
    said = await remembered();
    await notes.leaveMarker(bot);
    const saving = await timed(() => save(bot, notes.rewriting()));
    let complete = notes.version;
    before = withoutNotes(await bot.home());
    const ofNotes = ({ tags }) => tags.includes("reason:manual");
    const earlierOnes = (await operator.snapshots()).filter(ofNotes).length;
    const restoring = (await bot.status()).backup.restored.duration_ms + AROUND_RESTORE_MS;

    const counted = { "broken off": 0, "after the snapshot": 0, restoring: 0, "before or after that": 0 };
    for (let kills = 0; kills < KILLS; kills += 2) {
      const version = notes.version + 1;
      const saved = save(bot, notes.rewriting()).catch(() => {});
      await atRandom(chance, saving);
      await docker("kill", bot.id);
      await saved;

      const woken = owner.wakes();
      const { id } = await until(() => owner.container(), "a container starts", { pauseMs: 20 });
      await atRandom(chance, restoring);
      const { state } = await owner.state();
      counted[state === "restoring" ? state : "before or after that"] += 1;
      await docker("kill", id);
      await woken;
      // It may have been there just before.
      bot = await owner.wakes();
      const { run, backup: { restored } } = await bot.status();
      const earlier = (await operator.snapshots()).filter(({ tags }) => !tags.includes(`run:${run}`));
      assert.equal(restored.snapshot, earlier.at(-1).id, "the newest");
      const isComplete = earlier.filter(ofNotes).length > counted["after the snapshot"] + earlierOnes;
      counted[isComplete ? "after the snapshot" : "broken off"] += 1;
      if (isComplete) complete = version;
      const versions = await notes.found(bot);
      assert.ok(versions.every((found) => found >= complete), `${complete} was saved, found ${versions}`);
    }
    t.diagnostic(`a snapshot takes ${seconds(saving)}; ${JSON.stringify(counted)}`);
    assertSame(withoutNotes(await bot.home()), before);
    assert.deepEqual(await remembered(), said);
    await assertProject(bot, dir);
    assert.match(await operator.run("check", "--read-data"), /no errors were found/);
  });
});

/** A home without what changes all the time. */
function withoutNotes({ files, databases }) {
  const kept = Object.entries(files).filter(([path]) => !path.startsWith("notes/"));
  return { files: Object.fromEntries(kept), databases };
}

/** That a home is what it was, as `home.mjs` tells it. */
function assertSame(now, before) {
  assert.deepEqual(now.files, before.files);
  const lost = [];
  for (const [path, { who, tables }] of Object.entries(before.databases)) {
    const database = now.databases[path];
    assert.deepEqual([database?.integrity, database?.who], ["ok", who], path);
    for (const [table, rows] of Object.entries(tables)) {
      const there = new Set(database.tables[table]);
      const isMissing = RESCHEDULED.has(table) ? there.size < rows.length : rows.some((row) => !there.has(row));
      if (!REWRITTEN.has(table) && isMissing) lost.push(`${path}: ${table}`);
    }
  }
  assert.deepEqual(lost, [], "tables that miss a row");
}

/** Sets something in the config as the bot's page does. */
async function paintBot(device) {
  const { hash } = await device.call("config.get");
  await device.call("config.patch", { raw: JSON.stringify({ ui: { seamColor: COLOUR } }), baseHash: hash });
}

/** Makes a git repository with a commit in the bot's workspace; there is no git in the image. */
async function makeProject(bot, dir) {
  const project = join(dir, "project");
  await mkdir(project);
  await writeFile(join(project, "notes.md"), "# Notes\n");
  const identity = ["-c", "user.name=A Bot", "-c", "user.email=bot@example.com"];
  for (const args of [["init", "--quiet"], ["add", "."], [...identity, "commit", "--quiet", "--message", "The first notes"]]) {
    await run("git", args, { cwd: project });
  }
  await docker("cp", project, `${bot.id}:${HOME}/${PROJECT}`);
  await bot.run(`chown -R moltbot:moltbot ${HOME}/${PROJECT}`);
}

async function assertProject(bot, dir) {
  const copy = join(dir, "copy");
  await rm(copy, { recursive: true, force: true });
  await docker("cp", `${bot.id}:${HOME}/${PROJECT}`, copy);
  const git = (cwd, ...args) => run("git", ["-c", "safe.directory=*", ...args], { cwd });
  await git(copy, "fsck", "--full", "--strict");
  const log = ["log", "--format=%H %an %s"];
  assert.equal((await git(copy, ...log)).stdout, (await git(join(dir, "project"), ...log)).stdout);
  assert.equal((await git(copy, "status", "--porcelain")).stdout, "");
}

/** The names of a repository's objects. */
async function objects(restic) {
  const found = {};
  for (const [kind, path] of [["packs", "data"], ["index", "index"], ["snapshots", "snapshots"], ["keys", "keys"]]) {
    found[path] = (await restic.run("list", kind, "--no-lock")).trim().split("\n").sort();
  }
  return found;
}

function seconds(ms) {
  return `${(ms / 1_000).toFixed(1)} s`;
}
