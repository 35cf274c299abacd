import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { test } from "node:test";
import { ADMIN, ALICE, BOB, HOST, OPERATOR_TOKEN, ORIGIN, startWorker } from "./harness.mjs";
import { until } from "../until.mjs";
import { Repository, mint, password, sha256 } from "./repository.mjs";

const BYTES = Buffer.from("0123456789");

test("a container is given the URL, token and password of its repository", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  const [{ env }] = (await worker.record(ALICE)).starts;
  assert.equal(env.MOLTBOT_REPOSITORY_URL, `${ORIGIN}/_repo/${ALICE}/`);
  assert.equal(env.MOLTBOT_REPOSITORY_PASSWORDS, password(ALICE));
  assert.equal(env.MOLTBOT_RESTORE, "latest");
  const token = env.MOLTBOT_REPOSITORY_TOKEN;
  assert.match(token, new RegExp(`^mr1\\.1\\.${ALICE}\\.1\\.append\\.\\d+\\.`));
  const hour = Number(token.split(".")[5]) - Date.now();
  assert.ok(hour > 59 * 60_000 && hour <= 60 * 60_000, `${hour}`);
  assert.equal((await new Repository(worker, ALICE, token).add("data", BYTES)).answer.status, 200);
  assert.equal(await new Repository(worker, BOB, token).refusal("GET", "data/"), "403 foreign-repository");
});

test("an object can be added, found, read, read in ranges and listed", async (t) => {
  const worker = await startWorker(t);
  const repository = new Repository(worker, ALICE);
  assert.equal((await repository.ask("POST", "?create=true")).status, 200);
  assert.equal(await (await repository.ask("GET", "data/")).text(), "[]");
  for (const kind of ["keys", "locks", "snapshots", "index", "data"]) {
    const { path, answer } = await repository.add(kind, BYTES);
    assert.equal(answer.status, 200, kind);
    const found = await repository.ask("HEAD", path);
    assert.equal(found.status, 200);
    assert.equal(found.headers.get("content-length"), "10");
    const read = await repository.ask("GET", path);
    assert.equal(await read.text(), "0123456789");
    assert.equal(read.headers.get("content-length"), "10");
    assert.equal(read.headers.get("cache-control"), "no-store");
    for (const [range, bytes, contentRange] of [
      ["bytes=0-", "0123456789", "bytes 0-9/10"],
      ["bytes=3-5", "345", "bytes 3-5/10"],
      ["bytes=8-99", "89", "bytes 8-9/10"],
      ["bytes=-3", "789", "bytes 7-9/10"],
    ]) {
      const part = await repository.ask("GET", path, { headers: { range } });
      assert.equal(part.status, 206, range);
      assert.equal(part.headers.get("content-range"), contentRange);
      assert.equal(await part.text(), bytes, range);
    }
    for (const range of ["bytes=10-", "bytes=-0", "bytes=99999999999999999999-"]) {
      assert.equal(await repository.refusal("GET", path, { headers: { range } }), "416 bad-range", range);
    }
    const names = await repository.ask("GET", `${kind}/`);
    assert.equal(names.headers.get("content-type"), "application/vnd.x.restic.rest.v1");
    assert.deepEqual(await names.json(), [sha256(BYTES)]);
    const accept = "application/vnd.x.restic.rest.v2";
    const sizes = await repository.ask("GET", `${kind}/`, { headers: { accept } });
    assert.equal(sizes.headers.get("content-type"), accept);
    assert.deepEqual(await sizes.json(), [{ name: sha256(BYTES), size: 10 }]);
  }
  // Where a copy of the bucket is a repository in a directory.
  const bucket = await worker.mf.getR2Bucket("BUCKET");
  const { objects } = await bucket.list({ prefix: `users/${ALICE}/repo/data/` });
  assert.deepEqual(objects.map(({ key }) => key), [`users/${ALICE}/repo/data/${sha256(BYTES).slice(0, 2)}/${sha256(BYTES)}`]);
});

test("an object never changes, and adding it again is no error", async (t) => {
  const worker = await startWorker(t);
  const repository = new Repository(worker, ALICE);
  const { path } = await repository.add("snapshots", BYTES);
  assert.equal((await repository.ask("POST", path, { body: BYTES })).status, 200);
  await repository.ask("POST", path, { body: Buffer.from("other bytes") });
  assert.equal(await (await repository.ask("GET", path)).text(), "0123456789");
  const other = `snapshots/${sha256(Buffer.from("what it says"))}`;
  assert.equal(await repository.refusal("POST", other, { body: BYTES }), "400 wrong-hash");
  assert.equal(await repository.refusal("GET", other), "404 no-such-object");

  assert.equal((await repository.ask("POST", "config", { body: "first" })).status, 200);
  assert.equal((await repository.ask("POST", "config", { body: "first" })).status, 200);
  assert.equal(await repository.refusal("POST", "config", { body: "second" }), "403 object-exists");
  const many = Array.from({ length: 10 }, (_, i) => new Repository(worker, BOB).ask("POST", "config", { body: `config ${i}` }));
  const made = (await Promise.all(many)).filter(({ status }) => status === 200);
  assert.equal(made.length, 1, "one of ten that come at once makes the repository");
  assert.equal(await (await repository.ask("GET", "config")).text(), "first");
});

test("a run adds and never deletes; maintenance deletes all but the config", async (t) => {
  const worker = await startWorker(t);
  const run = new Repository(worker, ALICE);
  const maintenance = new Repository(worker, ALICE, mint(ALICE, { scope: "maintain" }));
  const operator = new Repository(worker, ALICE, OPERATOR_TOKEN);
  await worker.as(ALICE, "/");
  await run.ask("POST", "config", { body: "config" });
  for (const kind of ["keys", "snapshots", "index", "data"]) {
    const { path } = await run.add(kind, BYTES);
    assert.equal(await run.refusal("DELETE", path), "403 deletion-refused");
    assert.equal(await operator.refusal("DELETE", path), "403 deletion-refused");
    assert.equal(await (await run.ask("GET", path)).text(), "0123456789");
    assert.equal((await maintenance.ask("DELETE", path)).status, 200);
    assert.equal((await maintenance.ask("DELETE", path)).status, 200, "once more is no error");
    assert.equal(await run.refusal("GET", path), "404 no-such-object");
  }
  for (const repository of [run, operator]) {
    const { path } = await repository.add("locks", BYTES);
    assert.equal((await repository.ask("DELETE", path)).status, 200, "its own lock");
  }
  for (const repository of [run, operator, maintenance]) {
    assert.equal(await repository.refusal("DELETE", "config"), "403 deletion-refused");
  }
  // A run that is over may still be at it.
  const { path } = await run.add("snapshots", BYTES);
  const over = new Repository(worker, ALICE, mint(ALICE, { scope: "maintain", run: 7 }));
  assert.equal(await over.refusal("DELETE", path), "403 deletion-refused");
});

test("a valid token opens only its own repository", async (t) => {
  const worker = await startWorker(t);
  const path = (await new Repository(worker, ALICE).add("data", BYTES)).path;
  const good = mint(ALICE);
  const otherKey = Buffer.alloc(32, 3).toString("base64");
  const supabase = worker.provider.token({ sub: ALICE });
  const admin = worker.provider.token({ sub: ADMIN, aal: "aal2", app_metadata: { role: "admin" } });
  for (const [what, token, refusal] of [
    ["none", null, "401 repository-token-required"],
    ["an expired one", mint(ALICE, { expiresAt: Date.now() - 1 }), "401 repository-token-expired"],
    ["another key's", mint(ALICE, { key: otherKey }), "401 repository-token-refused"],
    ["an unknown key's", mint(ALICE, { version: 2 }), "401 repository-token-refused"],
    ["one of another run", good.replace(".1.append", ".2.append"), "401 repository-token-refused"],
    ["one that goes further", good.replace("append", "maintain"), "401 repository-token-refused"],
    ["a longer one", good.replace(/\.\d{13}\./, (expiry) => `.${Number(expiry.slice(1, -1)) + 9}.`), "401 repository-token-refused"],
    ["another bot's", mint(BOB), "403 foreign-repository"],
    ["another bot's, of maintenance", mint(BOB, { scope: "maintain" }), "403 foreign-repository"],
    ["the owner's access token", supabase, "401 repository-token-refused"],
    ["an admin's", admin, "401 repository-token-refused"],
    ["almost the operator's", `${OPERATOR_TOKEN}x`, "401 repository-token-refused"],
    ["nothing", "", "401 repository-token-refused"],
  ]) {
    const repository = new Repository(worker, ALICE, token);
    for (const method of ["GET", "POST", "DELETE"]) {
      assert.equal(await repository.refusal(method, path, method === "POST" ? { body: BYTES } : {}), refusal, `${what}: ${method}`);
    }
  }
  // A browser's session is no credential here.
  const cookie = { cookie: "__Host-moltbot-session=x", authorization: "" };
  assert.equal((await new Repository(worker, ALICE, null).ask("GET", path, { headers: cookie })).status, 401);
  for (const authorization of [`Basic ${btoa(`x:${good}`)}`, `basic ${btoa(`:${OPERATOR_TOKEN}`)}`, `bearer ${good}`]) {
    const answer = await new Repository(worker, ALICE, null).ask("GET", path, { headers: { authorization } });
    assert.equal(answer.status, 200, authorization);
  }
  const challenge = (await new Repository(worker, ALICE, null).ask("GET", path)).headers.get("www-authenticate");
  assert.match(challenge, /^Basic realm=/);
  // Containers may know the Worker by a name that people do not.
  assert.equal((await new Repository(worker, ALICE).ask("GET", path, { host: "repo.example.net" })).status, 200);
  assert.deepEqual((await worker.record(ALICE)).starts, [], "nothing of this wakes the bot");
});

test("operator access is refused if no operator token is set", async (t) => {
  const worker = await startWorker(t, { without: ["REPOSITORY_OPERATOR_TOKEN"] });
  for (const token of [OPERATOR_TOKEN, "", "undefined"]) {
    assert.equal(await new Repository(worker, ALICE, token).refusal("GET", "data/"), "401 repository-token-refused");
  }
});

test("invalid names, sizes and methods are refused", async (t) => {
  const worker = await startWorker(t);
  const repository = new Repository(worker, ALICE, mint(ALICE, { scope: "maintain" }));
  const theirs = new Repository(worker, BOB);
  const { path } = await theirs.add("data", BYTES);
  const id = sha256(BYTES);
  for (const [method, name, refusal] of [
    ["GET", `../${BOB}/${path}`, "403 foreign-repository"],
    ["GET", `%2e%2e/${BOB}/${path}`, "403 foreign-repository"],
    ["GET", `data/..%2f..%2f${BOB}%2fdata%2f${id}`, "404 bad-object-name"],
    ["GET", `data/../../${BOB}/repo/data/${id}`, "404 bad-object-name"],
    ["GET", `parents/${id}`, "404 bad-object-name"],
    ["GET", `data/${id.slice(0, 2)}/${id}`, "404 bad-object-name"],
    ["GET", `data/${id.toUpperCase()}`, "404 bad-object-name"],
    ["POST", `data/${id.slice(1)}`, "404 bad-object-name"],
    ["POST", "", "404 bad-object-name"],
    ["GET", "", "404 bad-object-name"],
    ["PUT", `data/${id}`, "405 wrong-method"],
    ["POST", "data/", "405 wrong-method"],
    ["GET", "token", "405 wrong-method"],
  ]) {
    assert.equal(await repository.refusal(method, name), refusal, `${method} ${name}`);
  }
  const smallest = 64 * 1024;
  for (const [kind, most] of [["keys", smallest], ["locks", smallest], ["snapshots", 1 << 20]]) {
    const fits = Buffer.alloc(most, 1);
    assert.equal((await repository.add(kind, fits)).answer.status, 200, kind);
    const longer = Buffer.alloc(most + 1, 1);
    const { answer } = await repository.add(kind, longer);
    const problem = await answer.json();
    assert.equal(problem.code, "object-too-large");
    assert.equal(problem.detail, `at most ${most} bytes`);
  }
  const nobody = worker.fetch(`/_repo/undefined/${path}`);
  assert.equal((await (await nobody).json()).code, "not-found");
});

test("an upload without a length or with an early end stores nothing", async (t) => {
  const worker = await startWorker(t);
  const repository = new Repository(worker, ALICE);
  const path = `/_repo/${ALICE}/data/${sha256(BYTES)}`;
  const headers = { host: HOST, authorization: `Bearer ${repository.token}` };
  const chunked = httpRequest(worker.address, { method: "POST", path, headers: { ...headers, "transfer-encoding": "chunked" } });
  chunked.end(BYTES);
  const [answer] = await once(chunked, "response");
  assert.equal(answer.statusCode, 411);
  answer.resume();
  const empty = await repository.refusal("POST", `data/${sha256(Buffer.alloc(0))}`, { body: Buffer.alloc(0) });
  assert.equal(empty, "411 length-required");

  const { hostname, port } = new URL(worker.address);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  socket.write(`POST ${path} HTTP/1.1\r\nhost: ${HOST}\r\nauthorization: ${headers.authorization}\r\ncontent-length: 10\r\n\r\n01234`);
  // Half of it is there before it breaks off.
  await new Promise((resolve) => socket.write("", resolve));
  socket.destroy();
  assert.equal(await repository.refusal("GET", `data/${sha256(BYTES)}`), "404 no-such-object");
  assert.equal((await repository.add("data", BYTES)).answer.status, 200, "and can be added afterwards");
});

test("a list has all objects across all pages of the bucket", async (t) => {
  const worker = await startWorker(t);
  const bucket = await worker.mf.getR2Bucket("BUCKET");
  const names = Array.from({ length: 1_105 }, (_, i) => sha256(Buffer.from(`object ${i}`)));
  const put = (name) => bucket.put(`users/${ALICE}/repo/data/${name.slice(0, 2)}/${name}`, "x");
  for (let i = 0; i < names.length; i += 50) await Promise.all(names.slice(i, i + 50).map(put));
  await bucket.put(`users/${ALICE}/repo/data/.DS_Store`, "x");
  const listed = await (await new Repository(worker, ALICE).ask("GET", "data/")).json();
  assert.deepEqual(listed.sort(), names.sort());
});

test("a run renews its token while it is the current one, and no longer", async (t) => {
  const worker = await startWorker(t);
  await worker.as(ALICE, "/");
  const first = new Repository(worker, ALICE, (await worker.record(ALICE)).starts[0].env.MOLTBOT_REPOSITORY_TOKEN);
  const answer = await first.ask("POST", "token");
  assert.equal(answer.status, 200);
  const { token, expires_at: expiresAt } = await answer.json();
  assert.equal(token.split(".")[5], String(expiresAt));
  assert.ok(expiresAt - Date.now() > 59 * 60_000);
  assert.equal((await new Repository(worker, ALICE, token).ask("GET", "data/")).status, 200);
  const maintenance = new Repository(worker, ALICE, mint(ALICE, { scope: "maintain" }));
  assert.match((await (await maintenance.ask("POST", "token")).json()).token, /\.1\.maintain\./);

  const refusal = (repository) => repository.refusal("POST", "token");
  assert.equal(await refusal(new Repository(worker, ALICE, mint(ALICE, { run: 2 }))), "409 run-over");
  assert.equal(await refusal(new Repository(worker, ALICE, mint(ALICE, { expiresAt: Date.now() - 1 }))), "401 repository-token-expired");
  assert.equal(await refusal(new Repository(worker, ALICE, OPERATOR_TOKEN)), "401 repository-token-refused");
  assert.equal(await refusal(new Repository(worker, BOB)), "409 run-over", "of a bot that never ran");
  await worker.fake(ALICE, "die");
  await until(async () => (await (await worker.as(ALICE, "/api/bot")).json()).state === "asleep", "the end was noticed");
  assert.equal(await refusal(first), "409 run-over");
  await worker.as(ALICE, "/");
  assert.equal(await refusal(first), "409 run-over", "another run is the current one");
});

test("a new backup key is used at once, and the older one still opens", async (t) => {
  const [older, newer] = [1, 2].map((byte) => Buffer.alloc(32, byte).toString("base64"));
  const worker = await startWorker(t, { bindings: { BACKUP_KEY: `2:${newer},1:${older}` } });
  await worker.as(ALICE, "/");
  const [{ env }] = (await worker.record(ALICE)).starts;
  assert.equal(env.MOLTBOT_REPOSITORY_PASSWORDS, [password(ALICE, newer), password(ALICE, older)].join(","));
  assert.match(env.MOLTBOT_REPOSITORY_TOKEN, /^mr1\.2\./);
  const opens = async (options) => (await new Repository(worker, ALICE, mint(ALICE, options)).ask("GET", "data/")).status;
  assert.equal(await opens({ key: newer, version: 2 }), 200);
  assert.equal(await opens({ key: older, version: 1 }), 200);
  assert.equal(await opens({ key: older, version: 2 }), 401);
});
