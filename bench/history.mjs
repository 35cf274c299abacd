// What a repository with many snapshots costs: what is asked of it for one more small snapshot and for a restore, with 10, 100
// and 1,000 of them, and after maintenance. Counts, not seconds: they are the same on every machine.
import { randomFillSync } from "node:crypto";
import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Bot } from "./bot.mjs";
import { environmentOf, localRepository } from "./local.mjs";
import { until } from "../tests/until.mjs";

const LENGTHS = (process.env.BENCH_SNAPSHOTS ?? "10,100,1000").split(",").map(Number);
// What changes for each.
const CHANGE_BYTES = 914;
const OWNER = "1500:1500";

const dir = await mkdtemp(join(tmpdir(), "moltworker-bench-"));
const bots = [];
try {
  await chmod(dir, 0o755);
  const gateway = join(dir, "fake-gateway");
  await copyFile(process.env.FAKE_GATEWAY_BIN, gateway);
  const repository = await localRepository(0);
  const home = join(dir, "moltbot");
  await mkdir(join(home, "notes"), { recursive: true });
  for (let number = 0; number < 10; number += 1) await writeFile(join(home, `${number}`), randomFillSync(Buffer.alloc(230_000)));
  if (process.getuid() === 0) spawnSync("chown", ["-R", OWNER, home]);
  const begin = async () => {
    const bot = new Bot(gateway, environmentOf(repository));
    bots.push(bot);
    await bot.start(home);
    await until(async () => (await bot.status()).phase === "ready", "the gateway is ready");
    return bot;
  };
  let bot = await begin();
  console.log(`\nwhat is asked for one more snapshot of ${CHANGE_BYTES} changed bytes, and for a restore`);
  cells("snapshots", ["class A", "class B", "packs", "again: A", "B", "packs", "restore: A", "B", "packs", "objects"]);
  let taken = 0;
  for (const length of LENGTHS) {
    for (; taken < length; taken += 1) await small(bot, home, taken);
    const [last, again] = [await counted(repository, () => small(bot, home, taken++)), await counted(repository, () => small(bot, home, taken++))];
    // The machine is lost.
    bot.kill();
    await bot.closed;
    await rm(home, { recursive: true });
    for (const left of [".moltbot.objects", ".moltbot.trees"]) await rm(join(dir, left), { force: true });
    const restored = await counted(repository, async () => (bot = await begin()));
    cells(`${length}`, [...last, ...again, ...restored, repository.objects.size]);
  }
  const begun = performance.now();
  const { status } = await bot.ask("POST", "/v1/maintain", JSON.stringify({ token: "maintain-token" }));
  if (status !== 202) throw new Error(`maintenance is refused: ${status}`);
  const { kept, problems } = await until(async () => (await bot.status()).backup.maintained, "maintenance is over", { deadlineMs: 900_000 });
  if (problems.length > 0) throw new Error(problems.join("; "));
  const first = await counted(repository, () => small(bot, home, taken++));
  const again = await counted(repository, () => small(bot, home, taken++));
  cells(`${kept} kept`, [...first, ...again, "-", "-", "-", repository.objects.size]);
  console.log(`    maintenance took ${((performance.now() - begun) / 1_000).toFixed(1)} s`);
} finally {
  for (const bot of bots) bot.kill();
  await rm(dir, { recursive: true, force: true });
}
process.exit(0);

async function small(bot, home, number) {
  await writeFile(join(home, `notes/${number % 7}`), randomFillSync(Buffer.alloc(CHANGE_BYTES)));
  const last = async () => (await bot.status()).backup.taken.at(-1)?.id;
  const before = await last();
  const { status } = await bot.ask("POST", "/v1/snapshot", JSON.stringify({ reason: "manual" }));
  if (status !== 202) throw new Error(`a snapshot is refused: ${status}`);
  await until(async () => (await last()) !== before, "the snapshot is taken", { pauseMs: 10 });
}

async function counted(repository, work) {
  repository.reset();
  await work();
  const { a, b, packs } = repository.counts;
  return [a, b, packs];
}

function cells(name, values) {
  console.log(`    ${name.padEnd(10)} ${values.map((value) => String(value).padStart(11)).join("")}`);
}
