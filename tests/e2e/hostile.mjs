// Bots that attack: their neighbours by what they answer, their supervisor by what lies in their home and by what they leave
// running. Each is a real container; the victims have the real gateway.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Bot, HOME } from "./bot.mjs";
import { Device } from "./device.mjs";
import { docker } from "./stack.mjs";
import { until } from "../until.mjs";

const GATEWAY = "/opt/openclaw/node_modules/openclaw/openclaw.mjs";
/** How long a neighbour is attacked at least; a minute and more by hand. */
const ATTACK_MS = 1_000 * Number(process.env.ATTACK_SECONDS ?? 0);
const ATTACKERS = 4;
// Enough that each kind comes several times, while somebody talks and loads.
const MIN_ATTACKS = 200;
const DOWNLOAD_BYTES = 100 << 20;
const WORDS = 3;
// What the supervisor gives a stop: the gateway 25 s to drain, what it leaves 5 s to be ended, the last snapshot 60 s
// (`core/src/bot/gateway`). The engine would kill the container later.
const STOPPED_MS = 90_000;
const ENGINE_KILLS_AFTER_S = "100";
/** How long a restored home is looked at. */
const UNCHANGED_MS = 60_000;
// Far more than a bot at rest has.
const MIN_FIGHTERS = 60;

/** Answers of no gateway: whole ones, of which the caller is to hear nothing but that, and others that end somehow. */
const ODD = ["600 X", "999 X", "777", "101 X", "200 X\r\nx-v: a\u0001b", "200 X\r\nx-v: \u007f", "abc X"].map(
  (first) => `HTTP/1.1 ${first}\r\ncontent-length: 2\r\n\r\nhi`,
);
const BROKEN = [
  "", "\u0000\u0001\u0002\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nshort", "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
  "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", `HTTP/1.1 200 OK\r\n${"x-many: y\r\n".repeat(5_000)}\r\n`,
  "HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: x\r\n\r\n\u00ff\u00ff\u00ff",
];

/** A gateway that says it is well, and else answers what it is asked for by number. */
const STRANGER = `import { createServer } from "node:net";
const answers = ${JSON.stringify([...ODD, ...BROKEN])};
const well = (value) => { const text = JSON.stringify(value); return "HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: " + text.length + "\\r\\n\\r\\n" + text; };
createServer((socket) => {
  socket.on("error", () => {});
  socket.once("data", (data) => {
    const path = data.toString("latin1").split(" ")[1];
    if (path === "/startupz") return socket.end(well({ ok: true, status: "started" }));
    if (path === "/healthz") return socket.end(well({ ok: true, status: "live" }));
    socket.end(answers[Number(path.slice(1))] ?? well({ odd: true }), "latin1");
  });
}).listen(18789, "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));`;

/** Puts another program in the place of a bot's gateway, as somebody who broke out of it in a container could. */
async function replaceGateway(bot, program) {
  const { gateway_pid } = await bot.status();
  await bot.run(`cat > ${GATEWAY} <<'END'\n${program}\nEND\nkill -KILL ${gateway_pid}`);
  await bot.readyAfter(gateway_pid);
}

/** A snapshot of a bot's home as it is now. */
async function saved(stack, token, bot) {
  const since = Date.now();
  const asked = await stack.fetch("/api/bot/snapshots", { token, method: "POST" });
  assert.equal(asked.status, 202);
  return (await bot.saved(since)).id;
}

const place = (call, snapshot, path) => `/api/bot/snapshots/${call}?${new URLSearchParams({ snapshot, path })}`;

/** `victim` talks to its bot and loads a large file, while `attacker`'s bot answers everything but HTTP. */
export async function oddAnswersDisturbNobody(t, stack, attacker, victim) {
  const [token, theirs] = [await stack.token(attacker), await stack.token(victim)];
  const [stranger, bot] = await Promise.all([attacker, victim].map(async (name) => new Bot((await stack.containerOf(name)).id)));
  await bot.own(`head -c ${DOWNLOAD_BYTES} /dev/zero > large`);
  const snapshot = await saved(stack, theirs, bot);
  await bot.own("rm large");
  const device = new Device(stack, theirs);
  await device.connect();
  await replaceGateway(stranger, STRANGER);

  const told = new Map();
  let isOver = false;
  let attacks = 0;
  const attack = async () => {
    while (!isOver || attacks < MIN_ATTACKS) {
      const number = attacks++ % (ODD.length + BROKEN.length);
      const { status, body } = await stack.fetch(`/${number}`, { token, signal: AbortSignal.timeout(30_000) }).then(
        async (answer) => ({ status: answer.status, body: await answer.text().catch(() => "") }),
        () => ({ status: "broken off" }),
      );
      if (number < ODD.length) assert.deepEqual([status, JSON.parse(body).code], [502, "bad-answer"], `answer ${number}`);
      told.set(status, (told.get(status) ?? 0) + 1);
    }
  };
  const end = performance.now() + ATTACK_MS;
  const talk = async () => {
    let said = 0;
    while (said < WORDS || performance.now() < end) await device.say(`under attack, word ${(said += 1)}`);
    return said;
  };
  const load = async () => {
    let loads = 0;
    do {
      const answer = await stack.fetch(place("file", snapshot, "large"), { token: theirs });
      assert.equal(answer.status, 200);
      const [hash, zeros] = [createHash("sha256"), createHash("sha256")];
      for await (const chunk of answer.body) {
        hash.update(chunk);
        zeros.update(Buffer.alloc(chunk.length));
        loads += chunk.length;
      }
      assert.equal(loads % DOWNLOAD_BYTES, 0, "it is whole");
      assert.equal(hash.digest("hex"), zeros.digest("hex"));
    } while (performance.now() < end);
    return loads / DOWNLOAD_BYTES;
  };
  const attacking = Array.from({ length: ATTACKERS }, attack);
  try {
    const [said, loads] = await Promise.all([talk(), load()]);
    t.diagnostic(`${attacks} answers (${[...told].map(([status, count]) => `${count} × ${status}`).join(", ")}), ${said} words, ${loads} × 100 MB`);
  } finally {
    isOver = true;
    await Promise.all(attacking);
  }
  assert.equal((await device.history()).length > 0, true, "the same WebSocket is open");
  device.close();
}

const MINE = "written by the tenant";
const PAIRS = 9;

/** Swaps directories for links for as long as it is let, and has databases that are no use to whoever reads them. */
const SWAPPER = `const fs = require("fs");
const { DatabaseSync } = require("node:sqlite");
const names = ["maps", "environ", "shadow", "passwd"];
fs.mkdirSync("swapped", { recursive: true });
fs.mkdirSync("evil", { recursive: true });
const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
const make = (name, sql) => { const base = new DatabaseSync("evil/" + name); base.exec(sql); base.close(); };
make("trigger.sqlite", "CREATE TABLE t(a); INSERT INTO t VALUES (1); CREATE TRIGGER d BEFORE DELETE ON t BEGIN " + endless + "; END");
make("view.sqlite", "CREATE TABLE t(a); CREATE VIEW v AS " + endless);
const header = fs.readFileSync("evil/view.sqlite");
fs.writeFileSync("evil/header.sqlite", Buffer.concat([header.subarray(0, 16), Buffer.alloc(84, 0xa5), header.subarray(100)]));
for (let number = 0; number < 9; number += 1) fs.writeFileSync("evil/" + number + ".sqlite", Buffer.concat([header.subarray(0, 100), Buffer.alloc(2000, number)]));
for (let pair = 0; pair < ${PAIRS}; pair += 1) {
  fs.mkdirSync("swapped/" + pair);
  for (const name of names) fs.writeFileSync("swapped/" + pair + "/" + name, "${MINE}");
  fs.symlinkSync(["/proc/self", "/etc", "/proc/1"][pair % 3], "swapped/" + pair + ".link");
}
fs.writeFileSync("swapper", String(process.pid));
fs.writeFileSync("swapped/ready", "${MINE}");
for (;;) {
  for (let pair = 0; pair < ${PAIRS}; pair += 1) {
    const [there, link, aside] = ["swapped/" + pair, "swapped/" + pair + ".link", "swapped/" + pair + ".aside"];
    fs.renameSync(there, aside); fs.renameSync(link, there);
    fs.renameSync(there, link); fs.renameSync(aside, there);
  }
}`;

/** A home whose directories become links while it is read, and whose databases do not end: the snapshot has what is the tenant's. */
export async function hostileHomesAreSaved(t, stack, name) {
  const token = await stack.token(name);
  const bot = new Bot((await stack.containerOf(name)).id);
  await startInGateway(bot, "node", ["-e", SWAPPER]);
  await until(() => bot.own("cat swapped/ready").catch(() => ""), "directories are swapped", { pauseMs: 500 });
  const begun = performance.now();
  const snapshot = await saved(stack, token, bot);
  t.diagnostic(`saved within ${((performance.now() - begun) / 1_000).toFixed(1)} s`);
  await bot.own("kill -KILL $(cat swapper)");

  let seen = 0;
  const look = async (path) => {
    const answer = await stack.fetch(place("files", snapshot, path), { token });
    assert.equal(answer.status, 200, path);
    for (const { name: entry, kind } of await answer.json()) {
      const below = `${path}/${entry}`;
      if (kind === "dir") await look(below);
      if (kind !== "file") continue;
      const file = await stack.fetch(place("file", snapshot, below), { token });
      assert.equal(await file.text(), MINE, below);
      seen += 1;
    }
  };
  await look("swapped");
  assert.ok(seen > PAIRS, `${seen} files were there`);
  const entries = await (await stack.fetch(place("files", snapshot, "evil"), { token })).json();
  assert.ok(entries.length >= 12, `${entries.length} databases are stored`);
  assert.equal((await stack.fetch("/", { token })).status, 200, "the bot serves");
  return snapshot;
}

/** Processes that do not want to go, each kind in its own way, and that write into the home all the time. */
const FIGHTERS = `trap '' TERM HUP INT QUIT
mkdir -p fought
for i in 1 2 3 4 5 6 7 8; do ( while :; do echo "$i stays" > fought/memory; echo x > fought/new.$i; rm -f fought/new.$i; done & ); done
for i in 1 2 3 4 5 6; do ( perl -e 'while (1) { exit if fork; open(my $file, ">", "fought/memory"); print $file "hops"; }' & ); done
cp /bin/sleep "fought/[kworker]"
( ulimit -u 200; setsid perl -e 'while (1) { fork }' & )
( setsid "./fought/[kworker]" 1000 & )
( setsid sh -c 'kill -STOP $$' & )`;

/** Has a bot's agent start what does not want to go, and waits until they are many. Says how many. */
async function fight(bot) {
  await startInGateway(bot, "bash", ["-c", FIGHTERS]);
  const fighting = async () => {
    const { length } = await bot.processesOnHost();
    return length > MIN_FIGHTERS && length;
  };
  return until(fighting, "they fight", { pauseMs: 500 });
}

/** What a bot runs is gone before its home is restored, which stays as it was for a minute. */
async function restoredInAFight(t, stack, name, meanwhile) {
  const token = await stack.token(name);
  const bot = new Bot((await stack.containerOf(name)).id);
  await bot.own("mkdir -p fought && echo of years > fought/memory && head -c 300000 /dev/urandom > fought/bytes");
  const digest = () => bot.run(`cd ${HOME} && find fought -type f | sort | xargs sha256sum; ls -A fought`);
  const before = await digest();
  const snapshot = await saved(stack, token, bot);
  const { gateway_pid } = await bot.status();
  const fighters = await fight(bot);

  const begun = performance.now();
  const ordered = await stack.fetch("/api/bot/snapshots/restore", {
    token, method: "POST", body: JSON.stringify({ snapshot }), headers: { "content-type": "application/json" },
  });
  assert.equal(ordered.status, 202);
  const status = await bot.readyAfter(gateway_pid);
  assert.equal(status.backup.restored.snapshot, snapshot);
  assert.ok(status.outlived > 10, `${status.outlived} were ended`);
  t.diagnostic(`${fighters} processes; ${status.outlived} were ended before the restore, ${((performance.now() - begun) / 1_000).toFixed(1)} s from its order to the next gateway`);
  const end = performance.now() + UNCHANGED_MS;
  const unchanged = async () => {
    let looks = 0;
    // Each takes longer than a fighter takes to write.
    for (; performance.now() < end; looks += 1) assert.equal(await digest(), before);
    t.diagnostic(`${looks} looks at the restored home`);
  };
  await Promise.all([unchanged(), meanwhile()]);
  const told = async () => (await (await stack.fetch("/api/bot/events", { token })).json()).events.filter(({ kind }) => kind === "outlived");
  const [{ detail }] = await until(async () => (await told()).length > 0 && told(), "its owner is told");
  assert.match(detail, /^\d+ process(es)? that the bot had started went on/);
}

/** It is gone within the time of a stop as well, with nothing left and all saved. */
async function stoppedInAFight(t, stack, name) {
  const bot = new Bot((await stack.containerOf(name)).id);
  const fighters = await fight(bot);
  const begun = performance.now();
  const stopped = docker("stop", "--time", ENGINE_KILLS_AFTER_S, bot.id);
  const code = await docker("wait", bot.id);
  const took = performance.now() - begun;
  await stopped;
  t.diagnostic(`${fighters} processes ended with their container in ${(took / 1_000).toFixed(1)} s`);
  assert.equal(code, "0", "nothing was left, and all was saved");
  assert.ok(took < STOPPED_MS, `it took ${took} ms`);
}

/** Two bots whose agents fight: one is restored, and one is stopped meanwhile. */
export function fightersAreGone(t, stack, restored, stopped) {
  return restoredInAFight(t, stack, restored, () => stoppedInAFight(t, stack, stopped));
}

/** Starts a program from within the gateway, as an agent does. */
function startInGateway(bot, program, words) {
  const options = JSON.stringify({ cwd: HOME, detached: true, stdio: "ignore" });
  const call = `spawn(${JSON.stringify(program)}, ${JSON.stringify(words)}, ${options}).unref()`;
  return bot.inGateway(`process.getBuiltinModule("child_process").${call}`);
}
