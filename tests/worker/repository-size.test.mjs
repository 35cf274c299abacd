import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { test } from "node:test";
import { ALICE, HOST, startWorker } from "./harness.mjs";
import { Repository, sha256 } from "./repository.mjs";

// core::backup::repository::object::MAX_PACK_BYTES
const LARGEST = 144 << 20;
// An isolate may have 128 MB, for everybody's requests at once.
const GROWTH_LIMIT = 1 << 20;

test("a pack of the largest size passes without entering wasm memory", async (t) => {
  const worker = await startWorker(t);
  const repository = new Repository(worker, ALICE);
  // Everything the way needs is there before it is measured.
  const small = await repository.add("data", Buffer.from("small"));
  assert.equal((await repository.ask("GET", small.path)).status, 200);
  const before = await worker.fake(ALICE, "wasm-bytes");
  const bytes = Buffer.alloc(LARGEST);
  for (let at = 0; at < bytes.length; at += 4_096) bytes.writeUInt32LE(at, at);
  const { path, answer } = await repository.add("data", bytes);
  assert.equal(answer.status, 200);
  const read = await repository.ask("GET", path);
  assert.equal(sha256(Buffer.from(await read.arrayBuffer())), sha256(bytes));
  const grown = (await worker.fake(ALICE, "wasm-bytes")) - before;
  t.diagnostic(`wasm memory: ${before} bytes before, ${grown} more after 144 MiB went up and down`);
  assert.ok(before > 0 && grown < GROWTH_LIMIT, `wasm memory grew by ${grown} bytes`);
});

test("an oversized pack is refused before it is sent", async (t) => {
  const worker = await startWorker(t);
  const { token } = new Repository(worker, ALICE);
  const headers = { host: HOST, authorization: `Bearer ${token}`, "content-length": LARGEST + 1 };
  const request = httpRequest(worker.address, { method: "POST", path: `/_repo/${ALICE}/data/${sha256("")}`, headers });
  t.after(() => request.destroy());
  request.on("error", () => {});
  request.flushHeaders();
  const [answer] = await once(request, "response");
  assert.equal(answer.statusCode, 413);
  assert.equal((await new Response(answer).json()).code, "object-too-large");
});
