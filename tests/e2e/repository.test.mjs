// The repository of snapshots in the whole system: from inside a real container, for an operator with the stock
// restic, while the bucket fails, and with containers that die in the middle of it. The gateway is an echo (echo/).
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { join } from "node:path";
import { test } from "node:test";
import { chromium } from "playwright-core";
import { password } from "../worker/repository.mjs";
import { Restic, address, inventory, makeHome, scratch } from "../worker/restic.mjs";
import { BACK_MS, Bot } from "./bot.mjs";
import { Bucket } from "./bucket.mjs";
import { Notes } from "./notes.mjs";
import { docker, root, startStack, until } from "./stack.mjs";

const KILLS = 20;

test("repository", { timeout: 30 * 60_000 }, async (t) => {
  await docker("build", "--quiet", "--tag", "moltbot-sandbox:test", root);
  const stack = await startStack(t, { dockerfile: `${root}/tests/e2e/echo/Dockerfile` });

  await t.test("a container reaches its own repository, and no other", async () => {
    const token = await stack.token("dev-1");
    assert.equal((await stack.fetch("/headers", { token })).status, 200);
    const { id } = await stack.containerOf("dev-1");
    const ask = (change) => `fetch((process.env.MOLTBOT_REPOSITORY_URL${change}) + "data/", {
      headers: { authorization: "Bearer " + process.env.MOLTBOT_REPOSITORY_TOKEN },
    }).then(async (answer) => console.log(answer.status, await answer.text()))`;
    assert.match(await docker("exec", id, "node", "-e", ask("")), /^200 \[/);
    const other = `.replace("${stack.user("dev-1").id}", "${stack.user("dev-2").id}")`;
    assert.match(await docker("exec", id, "node", "-e", ask(other)), /^403 .*foreign-repository/);
  });

  await t.test("an operator's stock restic makes, checks and restores one", async () => {
    const dir = await scratch(t);
    const home = await makeHome(join(dir, "home"));
    const { id } = stack.user("dev-3");
    const restic = new Restic(dir, address(stack.url, id, stack.operatorToken), password(id, stack.backupKey));
    await restic.run("init");
    await restic.run("backup", home);
    assert.match(await restic.run("check", "--read-data"), /no errors were found/);
    await restic.run("restore", "latest", "--target", join(dir, "restored"));
    assert.deepEqual(await inventory(join(dir, "restored", home)), await inventory(home));
  });

  await t.test("while its repository fails a bot does not start blank, says why, and heals by itself", async (t) => {
    const owner = await Owner.of(stack, "dev-4");
    const bucket = new Bucket(stack, owner.id);
    const notes = new Notes(1);
    const bot = await owner.wakes();
    await notes.leaveMarker(bot);
    await save(bot, notes.rewriting());
    await docker("kill", bot.id);

    const page = await owner.page(t);
    const says = async (why) => {
      await page.locator("#reason").filter({ hasText: why }).waitFor({ timeout: BACK_MS });
      const held = await owner.container();
      const [{ phase, gateway_pid, backup }, { state, reason }] = [await held.status(), await owner.state()];
      assert.deepEqual([phase, gateway_pid, backup.restored, backup.error.doing], ["restoring", null, null, "restore"]);
      assert.deepEqual([state, backup.taken.length], ["restoring", 0]);
      assert.match(reason, why);
      assert.equal(await held.own("ls -A"), "", "nothing is made of nothing");
    };
    // Each fault is there before the one before it is mended.
    const putBack = await bucket.removePack();
    await page.goto(`${stack.url}/headers`);
    assert.match(await page.title(), /waking up/);
    await says(/404/);
    const mend = await bucket.damageConfig();
    await putBack();
    await says(/config/i);
    const bringBack = await bucket.takeAway();
    await mend();
    await says(/404|password/);
    const { run } = await owner.state();
    await bringBack();

    await page.getByText('"host":').waitFor({ timeout: BACK_MS });
    assert.deepEqual(new Set(await notes.found(await owner.container())), new Set([notes.version]));
    assert.equal((await owner.state()).run, run, "in the same container");
  });

  await t.test("twenty kills during backup and restore cost nothing that was saved", async (t) => {
    const seed = Number(process.env.MOLTBOT_SEED ?? randomInt(2 ** 31));
    t.diagnostic(`MOLTBOT_SEED=${seed}`);
    const chance = random(seed);
    const owner = await Owner.of(stack, "dev-2");
    const dir = await scratch(t);
    const restic = new Restic(dir, address(stack.url, owner.id, stack.operatorToken), password(owner.id, stack.backupKey));
    const notes = new Notes(seed);

    let bot = await owner.wakes();
    await notes.leaveMarker(bot);
    const saving = await timed(() => save(bot, notes.rewriting()));
    let complete = notes.version;
    await docker("kill", bot.id);
    const waking = await timed(async () => (bot = await owner.wakes()));

    const counted = { "broken off": 0, "after the snapshot": 0, restoring: 0, "before or after that": 0 };
    for (let kills = 0; kills < KILLS; kills += 2) {
      const version = notes.version + 1;
      const saved = save(bot, notes.rewriting()).catch(() => {});
      await atRandom(chance, saving);
      await docker("kill", bot.id);
      await saved;

      const woken = owner.wakes();
      const { id } = await until("a container starts", () => owner.container(), { pauseMs: 20 });
      await atRandom(chance, waking);
      const { state } = await owner.state();
      counted[state === "restoring" ? state : "before or after that"] += 1;
      await docker("kill", id);
      await woken;
      // It may have been there just before.
      bot = await owner.wakes();
      const { run, backup: { restored } } = await bot.status();
      const earlier = JSON.parse(await restic.run("snapshots", "--json", "--no-lock")).filter(({ tags }) => !tags.includes(`run:${run}`));
      assert.equal(restored.snapshot, earlier.at(-1).id, "the newest");
      const ordered = earlier.filter(({ tags }) => tags.includes("reason:manual")).length;
      const isComplete = ordered > counted["after the snapshot"] + 1;
      counted[isComplete ? "after the snapshot" : "broken off"] += 1;
      if (isComplete) complete = version;
      const versions = await notes.found(bot);
      assert.ok(versions.every((found) => found >= complete), `${complete} was saved, found ${versions}`);
    }
    t.diagnostic(`a snapshot takes ${seconds(saving)}, waking ${seconds(waking)}; ${JSON.stringify(counted)}`);
    assert.match(await restic.run("check", "--read-data"), /no errors were found/);
  });
});

/** A bot's owner, who asks for it. */
class Owner {
  static async of(stack, name) {
    return Object.assign(new Owner(), { stack, name, id: stack.user(name).id, token: await stack.token(name) });
  }

  ask() {
    return this.stack.fetch("/headers", { token: this.token });
  }

  async state() {
    return (await this.stack.fetch("/api/bot", { token: this.token })).json();
  }

  async container() {
    const running = await this.stack.containerOf(this.name);
    return running && new Bot(running.id);
  }

  /** Asks until the bot answers, and presses "Try again now" where its page has that button. */
  async wakes() {
    await until("it is served", async () => {
      const answer = await this.ask();
      if (answer.ok) return true;
      const failed = ["bot-failed", "bot-crash-looped"].includes((await answer.json()).code);
      if (failed) await this.stack.fetch("/api/bot/restart", { method: "POST", token: this.token });
      return false;
    }, { deadlineMs: BACK_MS });
    return this.container();
  }

  /** A page in a browser of theirs. */
  async page(t) {
    const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
    const browser = await chromium.launch({ executablePath: process.env.CHROMIUM_BIN, args });
    t.after(() => browser.close());
    const context = await browser.newContext({ extraHTTPHeaders: { authorization: `Bearer ${this.token}` } });
    return context.newPage();
  }
}

/** Runs a program in a bot's home and has a snapshot taken of what it leaves. */
async function save(bot, program) {
  await Notes.node(bot, program);
  await bot.save();
}

async function timed(work) {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

/** Waits for no condition but chance: a kill comes when it comes. */
function atRandom(chance, most) {
  return new Promise((resolve) => setTimeout(resolve, chance() * most));
}

/** Mulberry32: the same numbers for the same seed. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function seconds(ms) {
  return `${(ms / 1_000).toFixed(1)} s`;
}
