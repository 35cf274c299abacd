// The repository of snapshots in the whole system: from inside a real container, for an operator with the stock
// restic, and while the bucket fails. The gateway is an echo (echo/).
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { password } from "../worker/repository.mjs";
import { Restic, address, inventory, makeHome, scratch } from "../worker/restic.mjs";
import { BACK_MS } from "./bot.mjs";
import { Bucket } from "./bucket.mjs";
import { Notes } from "./notes.mjs";
import { Owner, save } from "./owner.mjs";
import { docker, startEcho } from "./stack.mjs";

test("repository", { timeout: 30 * 60_000 }, async (t) => {
  const stack = await startEcho(t);

  await t.test("a container reaches only its own repository", async () => {
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

  await t.test("an operator's stock restic creates, checks and restores a repository", async () => {
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

  await t.test("a failing repository delays the start, is reported, and recovers", async (t) => {
    const owner = await Owner.of(stack, "dev-4", "/headers");
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
    // An attempt that had opened it before would otherwise come to its end.
    await says(/config/i);
    await putBack();
    const bringBack = await bucket.takeAway();
    await mend();
    // Snapshots and no config: an attempt begins with either.
    await says(/404|password|no config/);
    const { run } = await owner.state();
    await bringBack();

    await page.getByText('"host":').waitFor({ timeout: BACK_MS });
    assert.deepEqual(new Set(await notes.found(await owner.container())), new Set([notes.version]));
    assert.equal((await owner.state()).run, run, "in the same container");
  });
});
