// What no program should send to the API: refused with 400, in words, before anything is read or changed.
import test from "node:test";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { ALICE, OPERATOR_TOKEN, startWorker } from "./harness.mjs";

const document = JSON.parse(await readFile(new URL("../../docs/openapi.json", import.meta.url), "utf8"));

test("the Worker serves the OpenAPI document to anybody", async (t) => {
  const worker = await startWorker(t);
  const answer = await worker.fetch("/api/openapi.json");
  assert.equal(answer.headers.get("content-type"), "application/json");
  assert.deepEqual(await answer.json(), document);
});

test("a query that an endpoint does not take is refused in words", async (t) => {
  const worker = await startWorker(t);
  const id = "ab".repeat(32);
  for (const [path, detail] of [
    ["/api/bot?x=1", "this address takes nothing in its query"],
    ["/api/bot/events?after=1", "in its query this address takes before"],
    ["/api/bot/events?before=1&before=2", "before is there twice"],
    ["/api/bot/events?before=-1", "before takes a whole number up to 4294967295"],
    ["/api/bot/events?before=%2B1", "before takes a whole number up to 4294967295"],
    ["/api/bot/events?before=99999999999999999999999", "before takes a whole number up to 4294967295"],
    ["/api/bot/logs?lines=1e3", "lines takes a whole number up to 1000"],
    ["/api/bot/logs?lines=1001", "lines takes a whole number up to 1000"],
    ["/api/bot/snapshots/files", "snapshot is missing: the id of a snapshot"],
    [`/api/bot/snapshots/files?snapshot=${id.toUpperCase()}`, "snapshot takes 64 lower-case hexadecimal digits"],
    [`/api/bot/snapshots/files?snapshot=${id}&snapshot=${id}`, "snapshot is there twice"],
  ]) {
    const answer = await worker.as(ALICE, path);
    const { code, detail: said } = await answer.json();
    assert.deepEqual([answer.status, code, said], [400, "bad-request", detail], path);
  }
});

test("a body whose length nobody says is refused and never passed over", async (t) => {
  const worker = await startWorker(t);
  // One that takes none, two that may have one, and one that has to.
  for (const path of ["/api/bot/pin", "/api/bot/sleep", "/api/bot/snapshots", "/api/bot/domains"]) {
    const headers = { "content-type": "application/json", "x-test-no-length": "1" };
    const answer = await worker.as(ALICE, path, { method: "POST", body: '{"force":true}', headers });
    const { code, detail } = await answer.json();
    assert.deepEqual([answer.status, code], [400, "bad-request"], path);
    assert.match(detail, /Content-Length/, path);
  }
  const { pinned } = await (await worker.as(ALICE, "/api/bot")).json();
  assert.equal(pinned, false);
});

test("a body that is not the endpoint's document is refused in words", async (t) => {
  const worker = await startWorker(t);
  const send = async (body, kind = "application/json", path = "/api/bot/domains") => {
    const headers = kind ? { "content-type": kind } : {};
    const answer = await worker.as(ALICE, path, { method: "POST", body, headers });
    const { code, detail } = await answer.json();
    assert.deepEqual([answer.status, code], [400, "bad-request"], String(body));
    return detail;
  };
  assert.match(await send("{}", "text/plain"), /Content-Type: application\/json/);
  assert.match(await send("{}", "application/jsonx"), /Content-Type: application\/json/);
  assert.match(await send('{"host":"a.b"}', null), /Content-Type: application\/json/);
  assert.match(await send(""), /not what the address takes/);
  assert.match(await send("{"), /not what the address takes.*EOF/);
  assert.match(await send("[]"), /not what the address takes/);
  assert.match(await send('{"host":1}'), /expected a string and found a number/);
  assert.match(await send('{"host":"claw.example.org","more":1}'), /unknown field `more`/);
  assert.match(await send('{"host":"claw.example.org","host":"claw.example.org"}'), /a member is there twice/);
  assert.match(await send(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])), /not UTF-8/);
  assert.match(await send('{"host":"claw\\u0000.example.org"}'), /host: this is not a host name/);
  assert.match(await send(`{"host":${"9".repeat(400)}}`), /not what the address takes/);
  assert.match(await send('{"path":"notes"}', "application/json", "/api/bot/snapshots"), /path is for questions/);
  const id = "ab".repeat(32);
  assert.match(await send(`{"snapshot":"${id}"}`, "application/json", "/api/bot/snapshots"), /snapshot does not go with this/);
  assert.match(await send(`{"snapshot":"${id}","accept":false}`, "application/json", "/api/bot/snapshots/pin"), /accept goes with taking and restoring/);
  assert.match(await send("{}", "application/json", "/api/bot/pin"), /takes no body/);
  assert.match(await send("x", "text/plain", "/api/bot/restart"), /takes no body/);
  assert.match(await send('{"snapshot":"latest"}', "application/json", "/api/bot/snapshots/pin"), /64 lower-case/);
  assert.match(await send("{}", "application/json", "/api/bot/snapshots/pin"), /name a snapshot/);
  const good = await worker.as(ALICE, "/api/bot/domains", {
    method: "POST",
    body: '{"host":"claw.example.org"}',
    headers: { "content-type": "Application/JSON;charset=utf-8" },
  });
  assert.equal(good.status, 200);
});

test("a method the document does not have is refused with Allow", async (t) => {
  const worker = await startWorker(t);
  for (const method of ["PUT", "PATCH", "TRACE", "OPTIONS", "PROPFIND", "DELETE"]) {
    const answer = await worker.as(ALICE, "/api/bot", { method });
    assert.deepEqual([answer.status, answer.headers.get("allow")], [405, "GET, HEAD"], method);
  }
  const stored = await worker.fetch(`/_repo/${ALICE}/config`, { method: "PROPFIND", headers: { authorization: `Bearer ${OPERATOR_TOKEN}` } });
  assert.equal(stored.status, 405, "nor is it a GET to a repository");
  const passed = await worker.as(ALICE, "/somewhere", { method: "PROPFIND" });
  assert.equal((await passed.json()).method, "PROPFIND", "to the bot it goes as it came");
});
