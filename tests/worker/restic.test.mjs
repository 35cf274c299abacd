// The stock restic is the judge: what it makes, checks and restores through the Worker is a repository.
import assert from "node:assert/strict";
import { appendFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ALICE, BOB, OPERATOR_TOKEN, startWorker } from "./harness.mjs";
import { until } from "../until.mjs";
import { Repository, mint, password, sha256 } from "./repository.mjs";
import { Restic, address, inventory, makeHome, scratch } from "./restic.mjs";

/** A bot's repository with two snapshots of a home, made with a run's token. */
async function withSnapshots(t) {
  const worker = await startWorker(t);
  const dir = await scratch(t);
  const home = await makeHome(join(dir, "home"));
  const as = (token, user = ALICE) => new Restic(dir, address(worker.address, user, token), password(user));
  const run = as(mint(ALICE, { expiresAt: Date.now() + 3_600_000 }));
  await run.run("init");
  await run.run("backup", home, "--tag", "change");
  const first = await inventory(home);
  await appendFile(join(home, "workspace/note-7.md"), "more");
  await rm(join(home, "workspace/note-8.md"));
  await run.run("backup", home, "--tag", "stop");
  return { worker, dir, home, as, run, first, second: await inventory(home) };
}

async function restored({ dir, home }, restic, snapshot) {
  const target = join(dir, `restored-${snapshot}`);
  await restic.run("restore", snapshot, "--target", target);
  const found = await inventory(join(target, home));
  await rm(target, { recursive: true });
  return found;
}

test("stock restic", async (t) => {
  const made = await withSnapshots(t);
  const bucket = await made.worker.mf.getR2Bucket("BUCKET");
  const packs = async () => (await bucket.list({ prefix: `users/${ALICE}/repo/data/` })).objects;

  await t.test("makes, lists, checks and restores a repository, byte for byte", async () => {
    const snapshots = await made.run.snapshots();
    assert.deepEqual(snapshots.map(({ tags }) => tags), [["change"], ["stop"]]);
    assert.match(await made.run.run("check", "--read-data"), /no errors were found/);
    assert.deepEqual(await restored(made, made.run, snapshots[0].id), made.first);
    assert.deepEqual(await restored(made, made.run, "latest"), made.second);
    assert.match(await made.run.fails("init"), /config file already exists/);
    // It cleans up after itself: the one thing it may delete.
    assert.equal(await made.run.run("list", "locks", "--no-lock"), "");
    // An operator without a run reads the same.
    assert.deepEqual(await restored(made, made.as(OPERATOR_TOKEN), "latest"), made.second);
  });

  await t.test("cannot forget or prune with a run's token", async () => {
    const lasting = async () => {
      const { objects } = await bucket.list({ prefix: `users/${ALICE}/` });
      return objects.map(({ key, etag }) => `${key} ${etag}`).filter((line) => !line.includes("/locks/"));
    };
    const before = await lasting();
    for (const token of [mint(ALICE), OPERATOR_TOKEN]) {
      const attempt = made.as(token).start("forget", "--keep-last", "1", "--prune");
      // restic tries a refused deletion again for a quarter of an hour; one refusal is enough here.
      await until(() => attempt.stderr.includes("403"), "the deletion is refused");
      attempt.child.kill("SIGINT");
      assert.notEqual((await attempt.ended).code, 0);
    }
    assert.deepEqual(await lasting(), before);
    assert.equal((await made.run.snapshots()).length, 2);
    await made.run.run("unlock", "--remove-all");
    assert.match(await made.run.run("check", "--read-data"), /no errors were found/);
  });

  await t.test("gets clear errors for a wrong repository, expired token or password", async () => {
    assert.match(await made.as(mint(ALICE), BOB).fails("snapshots"), /403/);
    assert.match(await made.as(mint(ALICE, { expiresAt: Date.now() - 1 })).fails("snapshots"), /401/);
    assert.match(await made.as("").fails("snapshots"), /401/);
    assert.match(await new Restic(made.dir, made.run.repository, password(BOB)).fails("snapshots"), /wrong password/);
  });

  await t.test("prunes with a maintenance token and keeps valid snapshots", async () => {
    // Whether a snapshot may go the bot's Sandbox says, and only to the run there is.
    await made.worker.as(ALICE, "/");
    const maintenance = made.as(mint(ALICE, { scope: "maintain", expiresAt: Date.now() + 600_000 }));
    await rm(join(made.home, "big.bin"));
    await maintenance.run("backup", made.home);
    const third = await inventory(made.home);
    await maintenance.run("forget", "--keep-last", "1", "--prune");
    assert.equal((await made.run.snapshots()).length, 1);
    assert.match(await made.run.run("check", "--read-data"), /no errors were found/);
    assert.deepEqual(await restored(made, made.run, "latest"), third);
    const bytes = (await packs()).reduce((sum, { size }) => sum + size, 0);
    assert.ok(bytes < 2 << 20, `the big file is still there: ${bytes} bytes`);
  });

  await t.test("finds a damaged pack", async () => {
    // Nobody can do that through the Worker.
    const [biggest] = (await packs()).sort((a, b) => b.size - a.size);
    const bytes = Buffer.from(await (await bucket.get(biggest.key)).arrayBuffer());
    bytes[1_000] ^= 1;
    await bucket.put(biggest.key, bytes);
    assert.match(await made.run.fails("check", "--read-data"), /hash|does not match|invalid/i);
  });

  await t.test("sees every pack of a paginated list", async () => {
    const names = Array.from({ length: 1_500 }, (_, i) => sha256(Buffer.from(`pack ${i}`)));
    const own = (await packs()).map(({ key }) => key.split("/").at(-1));
    const put = (name) => bucket.put(`users/${ALICE}/repo/data/${name.slice(0, 2)}/${name}`, "x");
    for (let i = 0; i < names.length; i += 50) await Promise.all(names.slice(i, i + 50).map(put));
    const listed = (await made.run.run("list", "packs", "--no-lock")).trim().split("\n");
    assert.deepEqual(listed.sort(), [...own, ...names].sort());
  });
});
