// Measures what it takes to save and to restore a home of 1 GB in 10,000 files: the real supervisor beside stock
// restic, both against the built Worker in workerd, and beside both `tar | gzip` of everything, which is what a copy of
// the home costs that knows nothing of the one before. Prints ratios beside seconds and bytes, because those are this
// machine's and ratios are ours.
//
// The supervisor's own program in release mode is named by the environment: SUPERVISOR_BIN, and FAKE_GATEWAY_BIN
// for what it starts.
import { spawn } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { chmod, copyFile, mkdir, mkdtemp, open, rename, rm, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BOB, startWorker } from "../tests/worker/harness.mjs";
import { mint, password } from "../tests/worker/repository.mjs";
import { Restic, address } from "../tests/worker/restic.mjs";
import { Bot, GLANCE_MS, environment, peak } from "./bot.mjs";
import { countingProxy, price } from "./repository.mjs";

// Many small ones, and most bytes in few: 998 MB in 10,000 files.
const FILES = [
  { count: 8_900, bytes: 20_000 },
  { count: 1_000, bytes: 400_000 },
  { count: 100, bytes: 4_200_000 },
];
const MB = FILES.reduce((sum, { count, bytes }) => sum + count * bytes, 0) / 1e6;
// Every so manieth file changes: 1 %.
const SPARSE = 100;
// What a turn of an agent leaves behind.
const TURN = 5;
// The backup process may take so much: with the gateway beside it there is not much more.
const MEMORY_AIM_MB = 150;
// The group and user of a bot's home in the image.
const OWNER = "1500:1500";

const endings = [];
try {
  const worker = await startWorker({ after: (ending) => endings.push(ending) });
  const counter = await countingProxy(worker.address);
  const dir = await mkdtemp(join(tmpdir(), "moltworker-bench-"));
  endings.push(() => rm(dir, { recursive: true, force: true }), () => counter.server.close());
  await chmod(dir, 0o755);
  const home = join(dir, "moltbot");
  await makeHome(home);
  const restic = new Restic(dir, address(counter.url, BOB, mint(BOB, { expiresAt: Date.now() + 3_600_000 })), password(BOB));
  await restic.run("init");
  // The gateway is another user, who has to get to it.
  const gateway = join(dir, "fake-gateway");
  await copyFile(process.env.FAKE_GATEWAY_BIN, gateway);
  const bot = new Bot(gateway, await environment(worker, counter));
  endings.push(() => bot.kill());

  const costs = [];
  let supervisorPeak = 0;
  console.log(`\na home of ${MB} MB in 10,000 files; × is against tar | gzip of all of it`);
  heading(["seconds", "×", "MB up", "×", "requests", "class A", "class B", "MB down", "peak MB"]);
  for (const [name, change] of [
    ["the first snapshot", async () => bot.start(home)],
    ["1 % of the files changed", () => touch(home, SPARSE)],
    [`${TURN} small files changed`, () => touch(home, Math.floor(FILES[0].count / TURN), FILES[0].count)],
  ]) {
    await change();
    console.log(`  ${name}`);
    const tar = await archived(home);
    row("tar | gzip", tar, tar);
    const ours = await measured(counter, () => bot.snapshot());
    row("the supervisor", ours, tar);
    const theirs = await measured(counter, () => watched(restic.start("backup", home)));
    row("restic", theirs, tar);
    costs.push({ name, ours: ours.counts, theirs: theirs.counts });
    supervisorPeak = Math.max(supervisorPeak, peak(bot.pid));
  }
  console.log("\none snapshot a minute, four hours a day, for a month");
  for (const { name, ours, theirs } of costs.slice(1)) {
    console.log(`  ${name}: ${price(ours)}; with restic ${price(theirs)}`);
  }
  await bot.end();

  console.log("\nrestoring it; the supervisor compares every byte as well");
  heading(["seconds", "MB/s", "× restic", "requests", "MB down", "peak MB"]);
  const theirs = await measured(counter, () => watched(restic.start("restore", "latest", "--target", join(dir, "restic"))));
  await rm(join(dir, "restic"), { recursive: true });
  await rename(home, `${home}.gone`);
  const ours = await measured(counter, async () => bot.restore(home));
  for (const [name, { seconds, counts, peakMb }] of [["restic", theirs], ["the supervisor", ours]]) {
    cells(name, [seconds.toFixed(1), (MB / seconds).toFixed(0), (theirs.seconds / seconds).toFixed(2), counts.requests, (counts.down / 1e6).toFixed(1), peakMb.toFixed(0)]);
  }
  supervisorPeak = Math.max(supervisorPeak, peak(bot.pid));
  await bot.end();

  console.log(`\npeak memory, MB, aim: under ${MEMORY_AIM_MB} for the backup process`);
  console.log(`  the supervisor itself while 1 GB was saved and restored: ${supervisorPeak.toFixed(1)}`);
} finally {
  for (const ending of endings.reverse()) await ending();
}

function heading(names) {
  cells("", names);
}

function cells(name, values) {
  console.log(`    ${name.padEnd(16)} ${values.map((value) => String(value).padStart(9)).join("")}`);
}

function row(name, { seconds, up, counts, peakMb }, tar) {
  const ratio = (value, whole) => `× ${(value / whole).toPrecision(2)}`;
  const bytes = counts?.up ?? up;
  const asked = counts ? [counts.requests, counts.a, counts.b, (counts.down / 1e6).toFixed(1), peakMb.toFixed(0)] : [];
  cells(name, [seconds.toFixed(1), ratio(seconds, tar.seconds), (bytes / 1e6).toFixed(1), ratio(bytes, tar.up), ...asked]);
}

/** Half of it text that compresses, half of it noise that does not, in directories of a hundred. */
async function makeHome(home) {
  const words = Array.from({ length: 2_000 }, () => randomFillSync(Buffer.alloc(2 + (Math.random() * 8))).toString("hex").slice(2));
  const word = () => words[Math.floor(Math.random() ** 2 * words.length)];
  const phrases = Array.from({ length: 4_096 }, () => Buffer.from(`${Array.from({ length: 12 }, word).join(" ")}.\n`));
  let number = 0;
  for (const { count, bytes } of FILES) {
    for (let i = 0; i < count; i += 1) {
      if (number % 100 === 0) await mkdir(join(home, `${number / 100}`), { recursive: true });
      const content = Buffer.alloc(bytes);
      if (number % 2) randomFillSync(content);
      else for (let at = 0; at < bytes; ) at += phrases[Math.floor(Math.random() * phrases.length)].copy(content, at);
      await writeFile(path(home, number), content);
      number += 1;
    }
  }
  if (process.getuid() === 0) await run("chown", ["-R", OWNER, home]);
}

function path(home, number) {
  return join(home, `${Math.floor(number / 100)}`, `${number}`);
}

/** Writes something else into the middle of every `step`-th of the first files. */
async function touch(home, step, files = 10_000) {
  for (let number = 0; number < files; number += step) {
    const file = await open(path(home, number), "r+");
    const { size } = await file.stat();
    await file.write(randomFillSync(Buffer.alloc(500)), 0, 500, Math.floor(size / 2));
    await file.close();
  }
}

async function run(program, args) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (data) => (text += data));
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${program} ended with ${code}`);
  return text;
}

async function archived(home) {
  const begun = performance.now();
  const up = Number(await run("sh", ["-c", 'tar --warning=no-file-changed -cf - -C "$1" . | gzip | wc -c', "sh", home]));
  return { seconds: (performance.now() - begun) / 1_000, up };
}

async function measured(counter, work) {
  counter.reset();
  const begun = performance.now();
  const { seconds, peakMb } = await work();
  return { seconds: seconds ?? (performance.now() - begun) / 1_000, peakMb, counts: counter.counts };
}

/** A run of restic to its end. */
async function watched({ child, ended }) {
  let peakMb = 0;
  const watching = setInterval(() => (peakMb = Math.max(peakMb, peak(child.pid))), GLANCE_MS);
  const { code, stderr } = await ended;
  clearInterval(watching);
  if (code !== 0) throw new Error(stderr);
  return { peakMb };
}
