// The admin UI as the Worker serves it. What it does in a browser: tests/e2e/admin-ui.test.mjs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { NAVIGATION, PAGE, signIn } from "./browser.mjs";
import { ALICE, HOST, startWorker } from "./harness.mjs";

const BOT_DOMAIN = "claws.example.net";
const start = (t, more = {}) => startWorker(t, { assets: true, bindings: { BOT_DOMAIN }, ...more });

/** The address of the page's script. */
async function scriptOf(worker) {
  const page = await (await worker.fetch("/admin/", PAGE)).text();
  return /<script type="module"[^>]* src="([^"]+)"/.exec(page)[1];
}

test("the admin UI has the headers that protect an admin", async (t) => {
  const worker = await start(t);
  const entered = await worker.fetch("/admin", PAGE);
  assert.deepEqual([entered.status, entered.headers.get("location")], [303, "/admin/"]);
  const page = await worker.fetch("/admin/", PAGE);
  assert.equal(page.status, 200);
  const { headers } = page;
  const policy = headers.get("content-security-policy").split("; ");
  for (const directive of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", `connect-src 'self' ${worker.provider.url}`]) {
    assert.ok(policy.includes(directive), `${directive} in ${policy}`);
  }
  assert.ok(!headers.get("content-security-policy").includes("unsafe"));
  for (const [name, value] of [
    ["cross-origin-opener-policy", "same-origin"], ["cross-origin-resource-policy", "same-origin"], ["cache-control", "no-store"],
    ["x-content-type-options", "nosniff"], ["referrer-policy", "same-origin"], ["set-cookie", null],
  ]) assert.equal(headers.get(name), value, name);
  assert.match(headers.get("content-type"), /^text\/html/);
  const html = await page.text();
  assert.ok(!/<script(?![^>]* src=)|<style|\son\w+=/.test(html), "nothing stands in the page that its policy forbids");
});

test("files of the admin UI never change, and missing ones are not kept", async (t) => {
  const worker = await start(t);
  const file = await worker.fetch(await scriptOf(worker));
  assert.equal(file.status, 200);
  assert.match(file.headers.get("content-type"), /javascript/);
  assert.equal(file.headers.get("cache-control"), "public, max-age=31536000, immutable");
  assert.equal(file.headers.get("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
  for (const path of ["/admin/assets/gone-00000000.js", "/admin/assets/..%2findex.html", "/admin/assets/"]) {
    for (const init of [{}, PAGE]) {
      const gone = await worker.fetch(path, init);
      assert.deepEqual([gone.status, gone.headers.get("cache-control")], [404, "no-store"], path);
    }
  }
});

test("the first load of the admin UI stays below 250 kB, compressed", async (t) => {
  const worker = await start(t);
  const page = await (await worker.fetch("/admin/", PAGE)).text();
  const files = new Set(page.match(/\/admin\/assets\/[\w.-]+/g));
  let bytes = 0;
  for (const path of files) bytes += gzipSync(Buffer.from(await (await worker.fetch(path)).arrayBuffer())).length;
  t.diagnostic(`${files.size} files, ${Math.round(bytes / 1000)} kB gzip`);
  assert.ok(bytes < 250_000, `${bytes}`);
});

test("an address below /admin shows a person the UI, a program 404", async (t) => {
  const worker = await start(t);
  const page = await (await worker.fetch("/admin/", PAGE)).text();
  for (const path of [`/admin/bots/${ALICE}`, "/admin/nonsense?x=1", "/admin/index.html"]) {
    assert.equal(await (await worker.fetch(path, PAGE)).text(), page, path);
    const program = await worker.fetch(path, { headers: worker.adminBearer() });
    assert.deepEqual([program.status, (await program.json()).code], [404, "not-found"], path);
  }
});

test("no host but the platform's has a file of the admin UI", async (t) => {
  const worker = await start(t);
  const script = await scriptOf(worker);
  await worker.giveDomain(ALICE, "paw.example.org");
  for (const host of [`${ALICE}.${BOT_DOMAIN}`, "paw.example.org", "elsewhere.example.org"]) {
    for (const path of ["/admin", "/admin/", "/admin/index.html", script, "/index.html"]) {
      const answer = await worker.fetch(path, { host, headers: NAVIGATION });
      const text = await answer.text();
      assert.notEqual(answer.status, 200, `${host}${path}`);
      assert.ok(!text.includes("/admin/assets/"), `${host}${path}`);
    }
  }
  // What is below the files' own folder is nobody's page here either.
  assert.ok(!(await (await worker.fetch("/index.html")).text()).includes("/admin/assets/"));
});

test("where bots share the platform's host there is no admin UI", async (t) => {
  const worker = await start(t, { bindings: {} });
  const page = await worker.fetch("/admin/", PAGE);
  assert.equal(page.status, 503);
  const html = await page.text();
  assert.match(html, /BOT_DOMAIN/);
  assert.ok(!html.includes("/admin/assets/"));
});

test("sign-in settings are public, and a browser's session is no admin's", async (t) => {
  const worker = await start(t);
  const settings = await (await worker.fetch("/api/sign-in")).json();
  assert.deepEqual(settings, { auth_url: worker.provider.issuer, api_key: worker.provider.anonKey, second_factor: true });
  const cookie = await signIn(worker);
  const page = await worker.fetch("/admin/", { headers: { ...NAVIGATION, cookie } });
  assert.equal(page.headers.get("set-cookie"), null);
  const answer = await worker.fetch("/api/admin/health", { headers: { cookie, origin: `https://${HOST}`, "sec-fetch-site": "same-origin" } });
  assert.equal((await answer.json()).code, "bearer-required");
});
