import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { Browser } from "./browser.mjs";
import { ALICE, HOST, ORIGIN, startWorker } from "./harness.mjs";

test("the bot sees the request without platform credentials", async (t) => {
  const worker = await startWorker(t);
  const answer = await worker.as(ALICE, "/some/path?q=1&q=2", {
    method: "PUT",
    headers: {
      "x-moltbot-command": '"status"',
      "x-moltbot-client-ip": "203.0.113.66",
      "x-forwarded-for": "203.0.113.66",
      "x-forwarded-user": "somebody-else",
      forwarded: "for=203.0.113.66",
      "cf-connecting-ip": "203.0.113.9",
      "x-own": "kept",
    },
  });
  const seen = await answer.json();
  assert.equal(seen.method, "PUT");
  assert.equal(seen.url, `http://${HOST}/some/path?q=1&q=2`);
  assert.equal(seen.headers["x-own"], "kept");
  for (const name of ["authorization", "x-forwarded-for", "x-forwarded-user", "forwarded", "cf-connecting-ip", "cf-ray"]) {
    assert.equal(seen.headers[name], undefined, name);
  }
  assert.equal(seen.headers["x-moltbot-command"], '"serve"', "a client's own command does not count");
  assert.equal(seen.headers["x-moltbot-client-ip"], "203.0.113.9");
  assert.equal(seen.headers["accept-encoding"], "identity", "nobody asked for a compressed answer");
  await worker.as(ALICE, "/", { headers: { "accept-encoding": "br" } });
  const { served } = await worker.record(ALICE);
  assert.equal(Object.fromEntries(served.at(-1).headers)["accept-encoding"], "br");
});

test("one id follows a request to the bot, back and into the history", async (t) => {
  const worker = await startWorker(t);
  const headers = { "cf-ray": "8a1b-TXL", "x-request-id": "a client's own" };
  const asked = await worker.as(ALICE, "/some/path", { headers });
  assert.equal((await asked.json()).headers["x-request-id"], "8a1b-TXL");
  assert.equal(asked.headers.get("x-request-id"), "8a1b-TXL", "the bot said none");
  for (const path of ["/forge", "/numbered", "/redirect", "/not-modified"]) {
    const answer = await worker.as(ALICE, path, { headers });
    assert.equal(answer.headers.get("x-request-id"), "8a1b-TXL", path);
  }
  const own = ["/api/bot", "/api/nothing", "/login", "/api/admin/bots", "/api/bot/snapshots", "/healthz", `/_repo/${ALICE}/config`];
  for (const path of own) {
    const answer = await worker.as(ALICE, path, { headers });
    assert.equal(answer.headers.get("x-request-id"), "8a1b-TXL", path);
  }
  const stranger = await worker.fetch("/", { headers });
  assert.deepEqual([stranger.status, stranger.headers.get("x-request-id")], [401, "8a1b-TXL"]);
  const unnumbered = await worker.as(ALICE, "/api/admin/users", { headers: { "x-request-id": "a client's own" } });
  const id = unnumbered.headers.get("x-request-id");
  assert.match(id, /^[0-9a-f]{16}$/, "where no Cloudflare is");
  const database = await worker.database();
  const { results } = await database.prepare("SELECT request_id FROM events WHERE kind = 'refused' ORDER BY id").all();
  assert.deepEqual(results.map(({ request_id }) => request_id), ["8a1b-TXL", id]);
  const { socket, headers: opened } = await worker.upgrade("/", { ...worker.bearer(ALICE), ...headers });
  assert.equal(opened["x-request-id"], "8a1b-TXL");
  socket.close();
});

test("a GET with a body reaches the bot without it", async (t) => {
  const worker = await startWorker(t);
  const answer = await worker.as(ALICE, "/some/path", { body: "x" });
  assert.equal(answer.status, 200);
  const seen = await answer.json();
  assert.deepEqual([seen.method, seen.headers["content-length"]], ["GET", undefined]);
});

test("a bot's response passes without platform headers and cookies", async (t) => {
  const worker = await startWorker(t);
  const forged = await worker.as(ALICE, "/forge");
  assert.equal(forged.status, 201);
  assert.equal(await forged.text(), "forged");
  assert.deepEqual(forged.headers.getSetCookie(), ["theme=dark", "tone=low"]);
  assert.equal(forged.headers.get("x-moltbot-state"), null);
  assert.equal(forged.headers.get("clear-site-data"), null);
  assert.equal(forged.headers.get("x-fine"), "1");
  const redirect = await worker.as(ALICE, "/redirect");
  assert.equal(redirect.status, 302);
  assert.equal(redirect.headers.get("location"), "https://elsewhere.example/");
  const unchanged = await worker.as(ALICE, "/not-modified");
  assert.equal(unchanged.status, 304);
  assert.equal(unchanged.headers.get("etag"), '"x"');
});

test("plain and compressed bodies pass unchanged", async (t) => {
  const worker = await startWorker(t);
  const big = Buffer.alloc(20 * 1024 * 1024, "0123456789abcdef");
  const bodies = [Buffer.from("hello"), gzipSync("compressed"), Buffer.from([0, 255, 128, 10, 13]), big];
  for (const body of bodies) {
    const answer = await worker.as(ALICE, "/body", { method: "POST", body });
    assert.equal(answer.headers.get("x-length"), String(body.length), "the length is known on the other side");
    const back = Buffer.from(await answer.arrayBuffer());
    const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");
    assert.equal(digest(back), digest(body), `${body.length} bytes`);
  }
});

test("events arrive one by one", async (t) => {
  const worker = await startWorker(t);
  const answer = await worker.as(ALICE, "/events");
  const decoder = new TextDecoder();
  const seen = [];
  for await (const chunk of answer.body) {
    seen.push(decoder.decode(chunk));
    await worker.fake(ALICE, "next-event");
  }
  assert.deepEqual(seen, [1, 2, 3, 4, 5].map((n) => `data: ${n}\n\n`));
});

test("a WebSocket passes text and binary for our pages and for programs", async (t) => {
  const worker = await startWorker(t);
  for (const origin of [ORIGIN, undefined]) {
    const socket = await worker.socket(ALICE, "/ws", origin);
    for (const [message, binary] of [["text", false], [Buffer.from([0, 1, 254, 255]), true], ["x".repeat(1_000_000), false]]) {
      socket.send(message);
      const [back, isBinary] = await once(socket, "message");
      assert.equal(isBinary, binary);
      assert.deepEqual(back, Buffer.from(message));
    }
    socket.close(4001, "done");
    assert.equal((await once(socket, "close"))[0], 4001);
  }
});

test("a cross-site WebSocket is refused before it reaches a Sandbox", async (t) => {
  const worker = await startWorker(t);
  for (const origin of ["https://evil.example", "null", `${ORIGIN}.evil.example`]) {
    assert.equal(await worker.socket(ALICE, "/ws", origin), 403);
  }
  assert.deepEqual((await worker.record(ALICE)).starts, []);
});

test("a same-site page of another host cannot use the cookie", async (t) => {
  const worker = await startWorker(t);
  await worker.giveDomain(ALICE, "claw.example.org");
  const browser = new Browser(worker);
  await browser.signIn(ORIGIN);
  await browser.open("https://claw.example.org/");
  const before = (await worker.record(ALICE)).served.length;
  for (const host of [HOST, "claw.example.org"]) {
    const cookie = [...browser.jar(host)].map(([name, value]) => `${name}=${value}`).join("; ");
    const from = (site, mode, origin) => ({ cookie, "sec-fetch-site": site, "sec-fetch-mode": mode, ...(origin && { origin }) });
    const sibling = `https://wiki.${host}`;
    for (const [method, headers] of [
      ["POST", from("same-site", "navigate", sibling)],
      ["POST", from("cross-site", "no-cors", "null")],
      ["DELETE", from("same-site", "cors", sibling)],
      ["GET", from("same-site", "no-cors")],
      ["GET", from("cross-site", "cors", "https://evil.example")],
      // As browsers before 2023 send it.
      ["POST", { cookie, origin: sibling }],
      ["POST", { cookie }],
    ]) {
      const answer = await worker.fetch("/tools/invoke", { host, method, headers });
      assert.deepEqual([answer.status, (await answer.json()).code], [403, "wrong-origin"], `${method} ${JSON.stringify(headers)} on ${host}`);
    }
    assert.equal((await worker.record(ALICE)).served.length, before + (host === HOST ? 0 : 3), "the bot heard of none");
    for (const [method, headers] of [
      ["POST", from("same-origin", "cors", `https://${host}`)],
      ["POST", { cookie, origin: `https://${host}` }],
      ["GET", from("cross-site", "navigate")],
    ]) {
      assert.equal((await worker.fetch("/tools/invoke", { host, method, headers })).status, 200, `${method} on ${host}`);
    }
  }
});

test("a bot's page cannot install a service worker for the sign-in page", async (t) => {
  const worker = await startWorker(t);
  const answer = await worker.as(ALICE, "/sw.js", { headers: { "service-worker": "script" } });
  assert.equal(answer.status, 403);
  assert.equal((await answer.json()).code, "service-worker-refused");
  assert.deepEqual((await worker.record(ALICE)).starts, []);
  assert.equal((await worker.as(ALICE, "/sw.js")).status, 200, "as a plain file it is the bot's");
});
