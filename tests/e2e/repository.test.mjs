// The repository of snapshots in the whole system: from inside a real container, and for an operator with the
// stock restic.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { password } from "../worker/repository.mjs";
import { Restic, address, inventory, makeHome, scratch } from "../worker/restic.mjs";
import { docker, root, startStack } from "./stack.mjs";

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
});
