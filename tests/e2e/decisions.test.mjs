// What an owner deletes stays deleted, and about what the platform passes over they decide: the whole system with the real
// gateway, its databases and a browser.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { BACK_MS } from "./bot.mjs";
import { Owner } from "./owner.mjs";
import { docker, kept, startStack } from "./stack.mjs";
import { until } from "../until.mjs";

const DEVELOPMENT = "webapp/dev.sqlite";
const LARGE = "webapp/large.bin";
const STATE = ".openclaw/state/openclaw.sqlite";
// Pages of the database, its first one among them.
const DESTROYED_BYTES = 1 << 20;
const NOTE = "note-of-the-day";

const MAKE = `const { DatabaseSync } = require("node:sqlite");
  fs.mkdirSync("webapp");
  const database = new DatabaseSync("${DEVELOPMENT}");
  database.exec("CREATE TABLE t (x); INSERT INTO t VALUES (1)");
  database.close();`;

test("decisions", { timeout: 20 * 60_000 }, async (t) => {
  const stack = await startStack(t);
  const owner = await Owner.of(stack, "dev-1");
  const call = async (method, path) => (await stack.fetch(path, { token: owner.token, method })).json();
  const events = async (kind) => (await call("GET", "/api/bot/events")).events.filter((event) => event.kind === kind);
  const reaches = (wanted) => until(async () => (await owner.state()).state === wanted, `the bot is ${wanted}`, { deadlineMs: BACK_MS, pauseMs: 500 });
  let bot = await owner.wakes();

  await t.test("a deleted database and file stay deleted after sleep", async () => {
    await bot.own(`exec node --no-warnings -e '${MAKE}'`);
    // Three fifths of the home and more.
    await bot.own(`head -c $((2 * $(du -sb . | cut -f1))) /dev/urandom > ${LARGE}`);
    await bot.save();
    await bot.own(`rm ${DEVELOPMENT} ${LARGE} && echo later > webapp/kept`);
    assert.equal((await stack.fetch("/api/bot/sleep", { token: owner.token, method: "POST" })).status, 200);
    await reaches("asleep");
    bot = await owner.wakes();
    assert.equal(await bot.own("ls webapp && cat webapp/kept"), "kept\nlater");
    const [told, ...others] = await events("content-gone");
    assert.deepEqual([others, await events("passed-over")], [[], []]);
    assert.match(told.detail, new RegExp(DEVELOPMENT));
    assert.equal((await owner.state()).backups.choice, null);
  });

  await t.test("a destroyed gateway database is passed over and one step goes back", async () => {
    await bot.own(`echo here > ${NOTE} && head -c ${DESTROYED_BYTES} /dev/urandom | dd of=${STATE} conv=notrunc status=none`);
    const passedOver = await bot.save();
    await docker("kill", bot.id);
    const page = await owner.page(t);
    await page.goto(stack.url);
    await page.getByRole("heading", { name: "A newer state was passed over" }).waitFor({ timeout: BACK_MS });
    await page.screenshot({ path: join(kept, "passed-over.png"), fullPage: true });
    const [told] = await events("passed-over");
    assert.ok(told.detail.startsWith(passedOver.id) && told.detail.includes(STATE), told.detail);
    const { choice } = (await owner.state()).backups;
    assert.deepEqual(choice.snapshots, [passedOver.id]);

    await page.getByRole("button", { name: "Put back what was there" }).click();
    await until(async () => (await owner.state()).restored?.snapshot === passedOver.id, "it is back", { deadlineMs: BACK_MS, pauseMs: 500 });
    bot = await owner.container();
    assert.equal(await bot.own(`cat ${NOTE}`), "here");
    await until(async () => !(await owner.state()).backups.choice, "there is nothing more to decide", { deadlineMs: BACK_MS, pauseMs: 500 });
  });
});
