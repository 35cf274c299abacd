// Follows docs/recovery.md as it stands, up to where it asks the platform for something: every command is run, in its
// order, in one shell. The rest of the page is followed by tests/e2e/recovery.test.mjs.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { ALICE, BACKUP_KEY, OPERATOR_TOKEN, startWorker } from "./harness.mjs";
import { mint, password } from "./repository.mjs";
import { Restic, address, inventory, makeHome, scratch } from "./restic.mjs";

const run = promisify(execFile);
const page = await readFile(new URL("../../docs/recovery.md", import.meta.url), "utf8");
const [byHand] = page.split("## The bot's own calls");
const blocks = [...byHand.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, commands]) => commands);

test("the recovery page restores a home with and without a Worker", async (t) => {
  const worker = await startWorker(t);
  const dir = await scratch(t);
  const home = await makeHome(join(dir, "home"), { big: 3 << 20 });
  const bot = new Restic(dir, address(worker.address, ALICE, mint(ALICE)), password(ALICE));
  await bot.run("init");
  await bot.run("backup", home);
  const bucket = join(dir, "bucket");
  await copyBucket(worker, bucket);

  const [toFillIn, ...commands] = blocks;
  const filled = {
    WORKER: new URL(worker.address).origin,
    USER_ID: ALICE,
    BACKUP_KEY,
    REPOSITORY_OPERATOR_TOKEN: OPERATOR_TOKEN,
  };
  const names = [...toFillIn.matchAll(/^export (\w+)=/gm)].map(([, name]) => name);
  assert.deepEqual(names, Object.keys(filled), "what the page asks for is all it takes");

  const tools = await toolsBeside(dir, bucket);
  const env = { PATH: `${tools}:${process.env.PATH}`, HOME: dir, ...filled };
  const script = ["set -eu", ...commands.flatMap((text, i) => [`printf '\\n== ${i}\\n'`, text])].join("\n");
  const { stdout } = await run("bash", ["-c", script], { env, cwd: dir, maxBuffer: 16 << 20 });
  const said = stdout.split(/^== \d+\n/m).slice(1);
  assert.equal(said.length, commands.length);
  const about = (text) => said[commands.findIndex((block) => block.includes(text))].trim();
  assert.equal(about("openssl kdf"), password(ALICE), "both ways lead to the same password");
  assert.match(about("check --read-data"), /no errors were found/);
  assert.match(about("RESTIC_REPOSITORY=./repository"), /no errors were found/);
  const expected = await inventory(home);
  assert.deepEqual(await inventory(join(dir, "restored", home)), expected);
  assert.deepEqual(await inventory(join(dir, "restored-from-the-copy", home)), expected);
});

/** The bucket as a directory: what a remote of rclone's shows. */
async function copyBucket(worker, into) {
  const bucket = await worker.mf.getR2Bucket("BUCKET");
  const { objects } = await bucket.list();
  for (const { key } of objects) {
    const path = join(into, key);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, Buffer.from(await (await bucket.get(key)).arrayBuffer()));
  }
}

/** There is no account here to copy from: an rclone that knows the page's remote and one way to copy. */
async function toolsBeside(dir, bucket) {
  const tools = join(dir, "tools");
  await mkdir(tools);
  const rclone = `#!/bin/sh\nset -eu\n[ "$1" = copy ]\ncp -r "${bucket}/\${2#r2:moltbot-data/}" "$3"\n`;
  await writeFile(join(tools, "rclone"), rclone);
  await chmod(join(tools, "rclone"), 0o755);
  return tools;
}
