import assert from "node:assert/strict";
import { test } from "node:test";
import { PAGE } from "./browser.mjs";
import { ALICE, startWorker } from "./harness.mjs";

test("without settings every address names what is missing and how to set it", async (t) => {
  const worker = await startWorker(t, { without: ["PUBLIC_URL", "SESSION_KEY"], bindings: { SUPABASE_URL: "nonsense" } });
  for (const path of ["/", "/login", "/api/bot", "/admin", "/v1/models"]) {
    const answer = await worker.as(ALICE, path);
    assert.equal(answer.status, 503, path);
    assert.equal(answer.headers.get("content-type"), "application/problem+json");
    const problem = await answer.json();
    assert.equal(problem.code, "not-configured");
    for (const words of ["PUBLIC_URL is not set", "SUPABASE_URL is not a URL", "SESSION_KEY is not set", "wrangler secret put"]) {
      assert.ok(problem.detail.includes(words), `${words} in: ${problem.detail}`);
    }
  }
  const page = await worker.fetch("/", PAGE);
  assert.equal(page.status, 503);
  const html = await page.text();
  for (const word of ["PUBLIC_URL", "SUPABASE_URL", "SESSION_KEY", "openssl rand -base64 32"]) assert.ok(html.includes(word), word);
  assert.equal((await worker.fetch("/healthz")).status, 200);
  assert.deepEqual((await worker.record(ALICE)).starts, []);
});

test("a missing binding is named like a missing setting", async (t) => {
  const worker = await startWorker(t, { without: ["DB"] });
  const problem = await (await worker.fetch("/")).json();
  assert.match(problem.detail, /DB is not bound/);
});

test("the platform's own answers carry security headers", async (t) => {
  const worker = await startWorker(t);
  for (const [path, init] of [["/login", {}], ["/admin", {}], ["/", {}], ["/", PAGE], ["/healthz", {}]]) {
    const { headers } = await worker.fetch(path, init);
    assert.match(headers.get("strict-transport-security"), /max-age=\d{8}/, path);
    assert.equal(headers.get("x-content-type-options"), "nosniff", path);
    assert.equal(headers.get("referrer-policy"), "same-origin", path);
    assert.equal(headers.get("cache-control"), "no-store", path);
    assert.match(headers.get("content-security-policy"), /default-src 'none'.*frame-ancestors 'none'/, path);
  }
});

test("unknown hosts, reserved paths and wrong methods have their own errors", async (t) => {
  const worker = await startWorker(t);
  const elsewhere = await worker.fetch("/", { host: "other.example.com" });
  assert.equal((await elsewhere.json()).code, "unknown-host");
  // As browsers spell bücher.example.com.
  const umlaut = await worker.fetch("/", { host: "xn--bcher-kva.example.com" });
  assert.equal((await umlaut.json()).code, "unknown-host");
  assert.equal((await (await worker.as(ALICE, "/admin/users")).json()).code, "not-found");
  const wrong = await worker.as(ALICE, "/api/bot", { method: "DELETE" });
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers.get("allow"), "GET, HEAD");
  assert.deepEqual((await worker.record(ALICE)).starts, []);
});
