// Counts what snapshots cost at the repository: requests, operations of the bucket and bytes, for a first snapshot
// and for one after a small change, taken by stock restic; and the price they imply.
import { createServer, request as httpRequest } from "node:http";
import { mkdtemp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ALICE, startWorker } from "../tests/worker/harness.mjs";
import { mint, password } from "../tests/worker/repository.mjs";
import { Restic, address } from "../tests/worker/restic.mjs";

const FILES = 2_500;
const FILE_BYTES = 100_000;
const CHANGED = 25;
// Cloudflare's list prices in dollars per million: R2 operations that change or list (class A), those that read
// (class B), requests to a Worker. Deleting is free, and so is what leaves R2.
const PRICES = { a: 4.5, b: 0.36, requests: 0.3 };
// A bot that is used four hours a day and changes all the time: one snapshot a minute.
const SNAPSHOTS_A_MONTH = 4 * 60 * 30;
// Objects in one page of a bucket's list.
const PAGE = 1_000;

const endings = [];
try {
  const worker = await startWorker({ after: (ending) => endings.push(ending) });
  const counter = await countingProxy(worker.address);
  const dir = await mkdtemp(join(tmpdir(), "moltworker-bench-"));
  endings.push(() => rm(dir, { recursive: true, force: true }), () => counter.server.close());
  const home = join(dir, "home");
  await mkdir(home);
  for (let i = 0; i < FILES; i += 1) await writeFile(join(home, `${i}.bin`), randomBytes(FILE_BYTES));
  const token = mint(ALICE, { expiresAt: Date.now() + 3_600_000 });
  const restic = new Restic(dir, address(counter.url, ALICE, token), password(ALICE));
  await restic.run("init");

  console.log(`\nsnapshots at the repository: ${FILES} files, ${(FILES * FILE_BYTES) / 1e6} MB, stock restic`);
  console.log(`  ${"".padEnd(26)} ${["seconds", "requests", "class A", "class B", "MB up", "MB down"].map((name) => name.padStart(9)).join("")}`);
  await snapshot("the first", restic, home, counter);
  for (let i = 0; i < CHANGED; i += 1) {
    const path = join(home, `${i}.bin`);
    await writeFile(path, Buffer.concat([await readFile(path), randomBytes(1_000)]));
  }
  const cost = await snapshot(`${CHANGED} files changed`, restic, home, counter);
  await snapshot("nothing changed", restic, home, counter);
  const dollars = ["a", "b", "requests"].map((kind) => (cost[kind] * SNAPSHOTS_A_MONTH * PRICES[kind]) / 1e6);
  const all = dollars.reduce((sum, part) => sum + part, 0);
  console.log(`  one a minute, four hours a day: ${SNAPSHOTS_A_MONTH} a month cost $${all.toFixed(2)}, of which class A $${dollars[0].toFixed(2)}, class B $${dollars[1].toFixed(2)}, requests $${dollars[2].toFixed(2)}`);
} finally {
  for (const ending of endings.reverse()) await ending();
}

async function snapshot(name, restic, home, counter) {
  counter.reset();
  const begun = performance.now();
  await restic.run("backup", home);
  const seconds = (performance.now() - begun) / 1_000;
  const { a, b, requests, up, down } = counter.counts;
  const cells = [seconds.toFixed(1), requests, a, b, (up / 1e6).toFixed(1), (down / 1e6).toFixed(1)];
  console.log(`  ${name.padEnd(26)} ${cells.map((cell) => String(cell).padStart(9)).join("")}`);
  return { a, b, requests };
}

/** Passes everything on to the Worker and counts what each request is to the bucket. */
async function countingProxy(target) {
  const counter = { reset: () => (counter.counts = { a: 0, b: 0, requests: 0, up: 0, down: 0 }) };
  counter.reset();
  const { hostname, port } = new URL(target);
  counter.server = createServer((incoming, answer) => {
    const { method, url, headers } = incoming;
    const { counts } = counter;
    counts.requests += 1;
    const lists = method === "GET" && url.endsWith("/");
    const onward = httpRequest({ hostname, port, method, path: url, headers }, (from) => {
      answer.writeHead(from.statusCode, from.rawHeaders);
      let text = "";
      from.on("data", (data) => {
        counts.down += data.length;
        if (lists) text += data;
      });
      from.on("end", () => {
        if (lists) counts.a += Math.max(1, Math.ceil(JSON.parse(text).length / PAGE));
      });
      from.pipe(answer);
    });
    if (method === "POST" && !url.includes("?")) counts.a += 1;
    else if (!lists && (method === "GET" || method === "HEAD")) counts.b += 1;
    incoming.on("data", (data) => (counts.up += data.length));
    incoming.pipe(onward);
    onward.on("error", () => answer.destroy());
  });
  counter.server.listen(0, "127.0.0.1");
  await once(counter.server, "listening");
  counter.url = `http://127.0.0.1:${counter.server.address().port}`;
  return counter;
}
