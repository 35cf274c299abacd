// Restoring on half a processor, which is what a bot's container has: the supervisor, which compares what it restores, beside
// stock restic, which does not, from the same repository in memory. Homes of three kinds, and what is read of a repository with
// many snapshots for one more small one.
import { randomFillSync } from "node:crypto";
import { chmod, copyFile, mkdir, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { Bot, GLANCE_MS, peak, processorSeconds } from "./bot.mjs";
import { PASSWORD, REQUEST_MS, environmentOf, localRepository } from "./local.mjs";
import { share } from "./processor.mjs";

// What one bot of the smallest size has.
const PART = 0.5;
// The group and user of a bot's home in the image.
const OWNER = "1500:1500";
// Changes in place until each file lies in many packs.
const ROUNDS = 15;
const DATABASE_BYTES = 1e9;
const ROW_BYTES = 100_000;
// What a supervisor leaves on its machine.
const LEFT = ["moltbot", ".moltbot.objects", ".moltbot.trees", ".moltbot.databases", ".moltbot.restoring", ".moltbot.scratch"];
// Only homes whose names contain one of these.
const ONLY = process.env.BENCH_ONLY?.split(",");

const endings = [];
try {
  const half = share(PART);
  if (!half) throw new Error("this needs a control group for processors that may be written (root, cgroup v1 or v2)");
  endings.push(() => half.remove());
  const dir = await mkdtemp(join(tmpdir(), "moltworker-bench-"));
  endings.push(() => rm(dir, { recursive: true, force: true }));
  await chmod(dir, 0o755);
  const gateway = join(dir, "fake-gateway");
  await copyFile(process.env.FAKE_GATEWAY_BIN, gateway);

  console.log(`\nrestoring on ${PART} of a processor, ${REQUEST_MS} ms a request; restic compares nothing; × is restic's seconds by ours`);
  cells("", ["seconds", "×", "CPU s", "requests", "packs", "MB down", "peak MB"]);
  for (const [name, make, rounds] of [
    ["2.3 MB in 10 files", (home) => files(home, 10, 230_000), 0],
    ["320 MB in 80 files", (home) => files(home, 80, 4_000_000), 0],
    ["the same after changes in place", (home) => files(home, 80, 4_000_000), ROUNDS],
    ["a database of 1 GB", database, 0],
  ].filter(([name]) => !ONLY || ONLY.some((part) => name.includes(part)))) {
    await compared(name, make, rounds, { dir, gateway, half });
  }
} finally {
  for (const ending of endings.reverse()) await ending();
}

async function compared(name, make, rounds, { dir, gateway, half }) {
  const repository = await localRepository();
  const home = join(dir, "moltbot");
  await make(home);
  owned(home);
  // Saved on all the processors there are.
  const saving = new Bot(gateway, environmentOf(repository));
  await saving.start(home);
  await saving.snapshot();
  for (let round = 0; round < rounds; round += 1) {
    await changed(home, 80, round);
    await saving.snapshot();
  }
  await saving.end();
  const packs = [...repository.objects.keys()].filter((path) => path.startsWith("data/")).length;
  console.log(`  ${name}: ${packs} packs`);

  // The machine is lost, and all that was kept on it.
  const gone = () => Promise.all(LEFT.map((name) => rm(join(dir, name), { recursive: true, force: true })));
  await gone();
  repository.reset();
  const theirs = await restic(repository, dir, half);
  cells("restic", row(theirs, theirs, repository.counts));
  await rm(join(dir, "restic"), { recursive: true });
  repository.reset();
  const bot = new Bot(gateway, environmentOf(repository), half);
  const ours = await bot.restore(home);
  cells("the supervisor", row(ours, theirs, repository.counts));
  bot.kill();
  await bot.closed;
  await gone();
  repository.server.closeAllConnections();
  repository.server.close();
}

function row({ seconds, processor, peakMb }, theirs, { requests, packs, down }) {
  return [seconds.toFixed(2), `× ${(theirs.seconds / seconds).toFixed(2)}`, processor.toFixed(2), requests, packs, (down / 1e6).toFixed(1), peakMb.toFixed(0)];
}

function cells(name, values) {
  console.log(`    ${name.padEnd(16)} ${values.map((value) => String(value).padStart(9)).join("")}`);
}

async function restic(repository, dir, half) {
  const env = { PATH: process.env.PATH, HOME: dir, RESTIC_REPOSITORY: `rest:${repository.url}`, RESTIC_PASSWORD: PASSWORD };
  const args = ["restore", "latest", "--no-cache", "--target", join(dir, "restic")];
  const [program, within] = half.within(process.env.RESTIC_BIN ?? "restic", args);
  const begun = performance.now();
  const child = spawn(program, within, { env, cwd: dir, stdio: ["ignore", "ignore", "inherit"] });
  let peakMb = 0;
  let processor = 0;
  const watching = setInterval(() => {
    peakMb = Math.max(peakMb, peak(child.pid));
    processor = Math.max(processor, processorSeconds(child.pid));
  }, GLANCE_MS);
  const [code] = await once(child, "close");
  clearInterval(watching);
  if (code !== 0) throw new Error(`restic ended with ${code}`);
  return { seconds: (performance.now() - begun) / 1_000, peakMb, processor };
}

/** Half of them noise, half of them text that compresses. */
async function files(home, count, bytes) {
  await mkdir(home, { recursive: true });
  const words = Array.from({ length: 500 }, () => randomFillSync(Buffer.alloc(4)).toString("hex"));
  for (let number = 0; number < count; number += 1) {
    const content = Buffer.alloc(bytes);
    if (number % 2) randomFillSync(content);
    else for (let at = 0; at < bytes; ) at += content.write(`${words[Math.floor(Math.random() ** 2 * words.length)]} `, at);
    await writeFile(join(home, `${number}`), content);
  }
}

/** Another place of each file is written. */
async function changed(home, count, round) {
  for (let number = 0; number < count; number += 1) {
    const file = await open(join(home, `${number}`), "r+");
    const { size } = await file.stat();
    await file.write(randomFillSync(Buffer.alloc(500)), 0, 500, Math.floor(((round + 0.5) * size) / ROUNDS));
    await file.close();
  }
}

async function database(home) {
  await mkdir(join(home, ".openclaw/state"), { recursive: true });
  const made = new DatabaseSync(join(home, ".openclaw/state/large.sqlite"));
  made.exec("PRAGMA journal_mode = WAL; CREATE TABLE rows (id INTEGER PRIMARY KEY, content BLOB); BEGIN");
  const insert = made.prepare("INSERT INTO rows (content) VALUES (?)");
  const content = Buffer.alloc(ROW_BYTES);
  for (let bytes = 0; bytes < DATABASE_BYTES; bytes += ROW_BYTES) {
    randomFillSync(content, 0, ROW_BYTES / 2);
    insert.run(content);
  }
  made.exec("COMMIT");
  made.close();
}

function owned(home) {
  if (process.getuid() === 0) spawnSync("chown", ["-R", OWNER, home]);
}
