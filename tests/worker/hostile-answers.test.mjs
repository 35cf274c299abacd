// A container answers as a stranger wants it to, byte for byte over a real socket. Whatever it says, its own caller gets an
// answer of HTTP's or a refusal, and nobody else notices.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { NAVIGATION } from "./browser.mjs";
import { until } from "../until.mjs";
import { ALICE, BOB, ORIGIN, startWorker } from "./harness.mjs";

/** A server that answers whatever it is asked with `answer`, and hangs up. */
async function startStranger(t) {
  const stranger = { answer: "", asked: [] };
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (data) => {
      stranger.asked.push(data.toString());
      socket.end(stranger.answer);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  stranger.address = `http://127.0.0.1:${server.address().port}`;
  return stranger;
}

/** Somebody else, in the middle of a conversation and of a stream of events. */
async function neighbour(worker) {
  const socket = await worker.socket(BOB, "/ws", ORIGIN);
  const events = (await worker.as(BOB, "/events")).body.pipeThrough(new TextDecoderStream()).getReader();
  let number = 0;
  const next = async () => {
    number += 1;
    assert.equal((await events.read()).value, `data: ${number}\n\n`);
  };
  await next();
  return async (when) => {
    socket.send(`are you there, ${when}`);
    const [said] = await once(socket, "message", { signal: AbortSignal.timeout(10_000) });
    assert.equal(said.toString(), `are you there, ${when}`);
    assert.equal((await worker.as(BOB, "/")).status, 200, when);
    if (number < 4) {
      await worker.fake(BOB, "next-event");
      await next();
    }
  };
}

const message = (first, rest = "") => `HTTP/1.1 ${first}\r\n${rest}content-length: 2\r\n\r\nhi`;
// Makes the Worker copy an answer instead of passing it on.
const FORGED = "x-moltbot-state: x\r\nset-cookie: __Host-moltbot-session=evil\r\nset-cookie: theme=dark\r\n";
const WEB_SOCKET = "connection: upgrade\r\nupgrade: websocket\r\n";

test("an odd answer is a bad answer for its caller and none for others", async (t) => {
  const worker = await startWorker(t);
  const stranger = await startStranger(t);
  await worker.as(ALICE, "/");
  const notices = await neighbour(worker);
  await worker.fake(ALICE, "set", { answersFrom: stranger.address });
  for (const rest of ["", FORGED]) {
    for (const first of ["600 X", "999 X", "777", "101 X", `101 X\r\n${WEB_SOCKET.trim()}`, "200 X\r\nx-v: a\x01b", "200 X\r\nx-v: \x7f"]) {
      stranger.answer = message(first, rest);
      const answer = await worker.as(ALICE, "/");
      assert.equal(answer.status, 502, JSON.stringify([first, rest]));
      const problem = await answer.json();
      assert.equal(problem.code, "bad-answer");
      assert.match(problem.detail, /status|protocol|header/);
      await notices(first);
    }
    for (const first of ["200 OK", "204 No Content", "304 Not Modified", "418 X", "599 X"]) {
      stranger.answer = message(first, `${rest}x-v: 1\r\n`);
      const answer = await worker.as(ALICE, "/");
      assert.equal(answer.status, Number(first.slice(0, 3)), first);
      assert.equal(answer.headers.get("x-v"), "1");
      assert.deepEqual(answer.headers.getSetCookie(), rest ? ["theme=dark"] : []);
      assert.equal(answer.headers.get("x-moltbot-state"), null);
      if (![204, 304].includes(answer.status)) assert.equal(await answer.text(), "hi");
    }
  }
  stranger.answer = message("600 X");
  const page = await worker.as(ALICE, "/", { headers: NAVIGATION });
  assert.equal(page.status, 502);
  assert.match(page.headers.get("content-type"), /^text\/html/);
  await notices("at last");
  assert.equal(await worker.fake("any", "instances"), 1);
});

test("a copied answer keeps the bytes of the headers that are left", async (t) => {
  const worker = await startWorker(t);
  const stranger = await startStranger(t);
  await worker.as(ALICE, "/");
  await worker.fake(ALICE, "set", { answersFrom: stranger.address });
  const seen = [];
  for (const rest of ["", FORGED]) {
    stranger.answer = Buffer.from(message("200 X", `${rest}content-disposition: attachment; filename=caf\xe9\r\n`), "latin1");
    seen.push((await worker.as(ALICE, "/")).headers.get("content-disposition"));
  }
  assert.equal(seen[0], "attachment; filename=caf\xe9");
  assert.equal(seen[1], seen[0]);
});

test("a bot's cookie has a name of its own and stays on its host", async (t) => {
  const worker = await startWorker(t);
  const stranger = await startStranger(t);
  await worker.as(ALICE, "/");
  await worker.fake(ALICE, "set", { answersFrom: stranger.address });
  const cookies = ["=__Host-moltbot-session=evil", "__Host-moltbot-session=evil", "alone", "a=1; Domain=example.com; Path=/", "b=2; HttpOnly"];
  stranger.answer = message("200 X", cookies.map((cookie) => `set-cookie: ${cookie}\r\n`).join(""));
  assert.deepEqual((await worker.as(ALICE, "/")).headers.getSetCookie(), ["a=1; Path=/", "b=2; HttpOnly"]);
});

test("random answers of a container never break the Worker", async (t) => {
  const worker = await startWorker(t);
  const stranger = await startStranger(t);
  await worker.as(ALICE, "/");
  const notices = await neighbour(worker);
  await worker.fake(ALICE, "set", { answersFrom: stranger.address });
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  t.diagnostic(`SEED=${seed}`);
  const random = randomOf(seed);
  for (let round = 0; round < 400; round += 1) {
    stranger.answer = randomAnswer(random);
    const what = `SEED=${seed}, round ${round}: ${JSON.stringify(stranger.answer.toString("latin1").slice(0, 300))}`;
    const method = random(3) === 0 ? "POST" : "GET";
    const headers = random(4) === 0 ? { connection: "upgrade", upgrade: "websocket", "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==", "sec-websocket-version": "13", origin: ORIGIN } : {};
    const status = await statusOf(worker, method, headers, what);
    // 500 is the Worker's own failure, unless the container said it.
    const allowed = status === 101 || (status >= 200 && status <= 599 && (status !== 500 || / 500 /.test(stranger.answer)));
    assert.ok(allowed, `${status} for ${what}`);
    if (round % 100 === 99) await notices(what);
  }
  assert.equal(await worker.fake("any", "instances"), 1);
  assert.doesNotMatch(worker.log.text, /"internal-error"|"unanswered"/);
});

/** Numbers below a limit, the same ones for the same seed. */
function randomOf(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function randomAnswer(random) {
  const one = (list) => list[random(list.length)];
  const bytes = (count) => Buffer.from(Array.from({ length: count }, () => random(256))).toString("latin1");
  const status = one([one([101, 200, 201, 204, 205, 206, 301, 304, 401, 404, 500, 503, 599, 600, 999]), random(1000), random(70_000), bytes(3), ""]);
  const version = one(["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2", "http/1.1", bytes(8)]);
  const header = () => {
    const name = one(["x-v", "set-cookie", "content-type", "content-encoding", "x-moltbot-refusal", "x-moltbot-command", "clear-site-data", "upgrade", "connection", "content-length", "transfer-encoding", "location", "www-authenticate", bytes(random(5)), ""]);
    const value = one(["1", "websocket", "upgrade", "gzip", "chunked", "bot-waking", "bot-crash-looped", "ingress-secret-required", "=x", "a=1; Domain=x", "__Host-moltbot-session=x", `"*"`, bytes(random(20)), "a".repeat(random(9000)), ""]);
    return `${name}${one([": ", ":", "", " : "])}${value}${one(["\r\n", "\r\n", "\r\n", "\n", "\r"])}`;
  };
  const headers = Array.from({ length: random(8) }, header).join("");
  const body = one(["hi", "", bytes(random(300)), "2\r\nhi\r\n0\r\n\r\n", "zz\r\n"]);
  const length = one([`content-length: ${body.length}\r\n`, "", `content-length: ${random(1000)}\r\n`]);
  return Buffer.from(`${version} ${status} X\r\n${headers}${length}\r\n${body}`, "latin1").subarray(0, random(20) === 0 ? random(60) : undefined);
}

/** The status of an answer, also of one whose body no client could read. */
async function statusOf(worker, method, headers, what) {
  const socket = rawRequest(worker, method, headers);
  let head = "";
  try {
    for await (const piece of socket) {
      head += piece.toString("latin1");
      if (head.includes("\r\n")) break;
    }
  } finally {
    socket.destroy();
  }
  const status = /^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1];
  assert.ok(status, `no answer for ${what}: ${JSON.stringify(head)}`);
  return Number(status);
}

function rawRequest(worker, method, headers) {
  const { hostname, port } = new URL(worker.address);
  const socket = connect(port, hostname);
  socket.setTimeout(10_000, () => socket.destroy(new Error("no answer within 10 s")));
  const lines = Object.entries({ host: "bots.example.com", ...worker.bearer(ALICE), "content-length": 0, ...headers });
  socket.write(`${method} / HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`);
  return socket;
}

test("a trap in the instance spares streams and every next request", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  const notices = await neighbour(worker);
  const download = (await worker.as(BOB, "/endless")).body.getReader();
  const flows = async () => assert.ok((await download.read()).value.length > 0);
  await flows();
  for (let round = 0; round < 5; round += 1) {
    await worker.fake("any", "trap");
    const answer = await worker.as(ALICE, "/");
    assert.equal(answer.status, 500);
    assert.equal((await worker.as(ALICE, "/")).status, 200);
    assert.equal(await worker.fake("any", "instances"), round + 2);
    await flows();
    await notices(`round ${round}`);
  }
  await download.cancel();
  // Who waits for the instance that ended waits in vain, and is served when they ask again.
  await worker.fake(BOB, "set", { holds: true });
  // It ends with the runtime.
  worker.as(BOB, "/").catch(() => {});
  await until(async () => (await worker.record(BOB)).held === 1, "the request is held");
  await worker.fake("any", "trap");
  await worker.as(ALICE, "/");
  await worker.fake(BOB, "set", { holds: false });
  await notices("after somebody waited");
});

test("a supervisor's answer is read up to a limit and in time", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  const ask = async (said) => {
    await worker.fake(ALICE, "set", { says: said });
    await worker.fake(ALICE, "command", "poll");
    return (await worker.status(ALICE)).health;
  };
  assert.equal(await ask(null), "healthy");
  for (const said of ["endless", "huge", "no json", "[[[[", "nothing", "deep"]) {
    assert.equal(await ask(said), "unknown", said);
    assert.equal((await worker.as(ALICE, "/")).status, 200, said);
  }
  // What a newer one has to say is not understood, and no reason not to understand the rest.
  assert.equal(await ask("more"), "healthy");
  const reasons = worker.log.text.split("\n").filter((line) => line.includes("supervisor-unanswered"));
  assert.ok(reasons.some((line) => line.includes("more than 307200 bytes")), reasons.join("\n"));
});

test("the Sandbox proves itself to the ingress of its run", async (t) => {
  const worker = await startWorker(t);
  const name = "x-moltbot-ingress-secret";
  const stranger = await startStranger(t);
  assert.equal((await worker.as(ALICE, "/")).status, 200);
  await worker.fake(ALICE, "set", { answersFrom: stranger.address, older: true });
  stranger.answer = message("200 X", `${name}: back\r\n`);
  const seen = async (headers = {}) => {
    const answer = await worker.as(ALICE, "/", { headers });
    assert.equal(answer.headers.get(name), null);
    return new RegExp(`^${name}: (.*)$`, "im").exec(stranger.asked.pop())?.[1].trim();
  };
  const secret = async () => (await worker.record(ALICE)).starts.at(-1).env.MOLTBOT_INGRESS_SECRET;
  const first = await secret();
  assert.match(first, /^[0-9a-f]{64}$/);
  assert.equal(await seen(), first);
  // A client's own never arrives, and an object that forgot everything still knows the secret.
  assert.equal(await seen({ [name]: "forged" }), first);
  await worker.fake(ALICE, "evict");
  assert.equal(await seen(), first);
  // Each run has its own.
  await worker.fake(ALICE, "die");
  await worker.reaches(ALICE, "asleep");
  assert.equal((await worker.as(ALICE, "/")).status, 200);
  const second = await secret();
  assert.notEqual(second, first);
  assert.equal(await seen(), second);
  // A run that an older Worker started has none.
  await worker.fake(ALICE, "sql", "UPDATE run_secret SET ingress_secret = NULL");
  await worker.fake(ALICE, "evict");
  assert.equal(await seen(), undefined);
  // An ingress that takes us for somebody else is our defect, and no reason for a person to sign in again.
  await worker.fake(ALICE, "set", { answersFrom: null, older: false });
  const refused = await worker.as(ALICE, "/");
  assert.equal(refused.status, 500);
  assert.equal((await refused.json()).code, "internal");
  await worker.logged("ingress-refused");
});
