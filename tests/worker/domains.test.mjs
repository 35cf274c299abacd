// A bot under a domain of its owner's: claimed, proven, reached, given up.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Browser } from "./browser.mjs";
import { startCloudflare, startDns, ZONE } from "./counterparts.mjs";
import { ADMIN, ALICE, BOB, HOST, ORIGIN, startWorker } from "./harness.mjs";

const CLAW = "claw.example.org";
const alice = { sub: ALICE };
const bob = { sub: BOB };

async function start(t, bindings = {}) {
  const dns = await startDns(t);
  const worker = await startWorker(t, { bindings: { DNS_QUERY_URL: dns.url, ...bindings } });
  return { worker, dns };
}

test("a domain proven by a TXT record leads only to its owner's bot", async (t) => {
  const { worker, dns } = await start(t);
  const claimed = await worker.call(alice, "POST", "/api/bot/domains", { host: "Claw.Example.org." });
  assert.equal(claimed.host, CLAW);
  assert.equal(claimed.state, "pending");
  assert.deepEqual(claimed.target, { type: "CNAME", name: CLAW, value: HOST });
  assert.equal(claimed.proof.name, `_moltworker.${CLAW}`);
  assert.match(claimed.proof.value, /^moltworker-domain=[0-9a-f]{32}$/);
  const again = await worker.call(alice, "POST", "/api/bot/domains", { host: CLAW });
  assert.deepEqual(again.proof, claimed.proof, "claiming twice changes nothing");

  const check = () => worker.call(alice, "POST", "/api/bot/domains/check", { host: CLAW });
  const visit = (who) => worker.fetch("/", { host: CLAW, headers: worker.bearer(who) });
  assert.equal((await check()).state, "pending");
  assert.deepEqual(dns.asked, [{ name: `_moltworker.${CLAW}`, type: "TXT", accept: "application/dns-json" }]);
  dns.txt.set(claimed.proof.name, ["v=spf1 -all", "moltworker-domain=somebody-else"]);
  assert.equal((await check()).state, "pending");
  assert.equal((await (await visit(ALICE)).json()).code, "unknown-host");
  dns.txt.set(claimed.proof.name, ["v=spf1 -all", claimed.proof.value]);
  assert.equal((await check()).state, "verified");

  const seen = await (await visit(ALICE)).json();
  assert.equal(new URL(seen.url).host, CLAW);
  assert.equal((await (await visit(BOB)).json()).code, "not-your-bot");
  assert.deepEqual((await worker.record(BOB)).starts, []);
  const { domains } = await worker.call(alice, "GET", "/api/bot/domains");
  assert.deepEqual(domains.map(({ host, state }) => [host, state]), [[CLAW, "verified"]]);

  assert.deepEqual((await worker.call(alice, "DELETE", "/api/bot/domains", { host: CLAW })).domains, []);
  assert.equal((await (await visit(ALICE)).json()).code, "unknown-host");
});

test("a failing resolver does not remove the claim", async (t) => {
  const { worker, dns } = await start(t);
  const { proof } = await worker.call(alice, "POST", "/api/bot/domains", { host: CLAW });
  dns.txt.set(proof.name, 2);
  const failed = await worker.call(alice, "POST", "/api/bot/domains/check", { host: CLAW });
  assert.deepEqual([failed.status, failed.code], [503, "dns-unavailable"]);
  dns.txt.set(proof.name, [proof.value]);
  assert.equal((await worker.call(alice, "POST", "/api/bot/domains/check", { host: CLAW })).state, "verified");
});

test("many users may claim a name, one owns it, and an admin can reassign it", async (t) => {
  const { worker, dns } = await start(t);
  const his = await worker.call(bob, "POST", "/api/bot/domains", { host: CLAW });
  const hers = await worker.call(alice, "POST", "/api/bot/domains", { host: CLAW });
  assert.notEqual(his.proof.value, hers.proof.value);
  dns.txt.set(hers.proof.name, [hers.proof.value]);
  assert.equal((await worker.call(bob, "POST", "/api/bot/domains/check", { host: CLAW })).state, "pending");
  assert.equal((await worker.call(alice, "POST", "/api/bot/domains/check", { host: CLAW })).state, "verified");
  dns.txt.set(hers.proof.name, [his.proof.value]);
  assert.equal((await worker.call(bob, "POST", "/api/bot/domains/check", { host: CLAW })).code, "domain-taken");
  await assert.rejects(
    (await worker.database()).prepare("UPDATE domains SET state = 'verified'").run(),
    /UNIQUE/,
    "the database itself holds one owner per name",
  );

  const taken = await worker.asAdmin("POST", `/api/admin/users/${BOB}/domains`, { host: CLAW });
  assert.equal(taken.code, "domain-taken");
  await worker.asAdmin("DELETE", `/api/admin/users/${ALICE}/domains`, { host: CLAW });
  await worker.giveDomain(BOB, CLAW);
  assert.equal((await worker.fetch("/", { host: CLAW, headers: worker.bearer(BOB) })).status, 200);
  const row = await (await worker.database()).prepare("SELECT verified_by FROM domains WHERE user_id = ?").bind(BOB).first();
  assert.equal(row.verified_by, ADMIN);
});

test("names that cannot be claimed are refused with an alternative", async (t) => {
  const { worker } = await start(t, { BOT_DOMAIN: "claws.example.net" });
  for (const [host, why] of [
    [HOST, /belongs to the platform/],
    [`x.${HOST}`, /belongs to the platform/],
    ["x.claws.example.net", /belongs to the platform/],
    ["localhost", /at least two parts/],
    ["203.0.113.9", /not an IP address/],
    ["printer.local", /registered domain/],
    ["https://claw.example.org/", /without https/],
    ["bücher.example.org", /xn--/],
    ["*.example.org", /not a host name/],
  ]) {
    const refused = await worker.call(alice, "POST", "/api/bot/domains", { host });
    assert.deepEqual([refused.status, refused.code], [400, "bad-request"], host);
    assert.match(refused.detail, why, host);
  }
  for (let i = 0; i < 5; i += 1) {
    assert.equal((await worker.call(alice, "POST", "/api/bot/domains", { host: `claw${i}.example.org` })).status, 200);
  }
  assert.equal((await worker.call(alice, "POST", "/api/bot/domains", { host: "claw5.example.org" })).code, "too-many-domains");
  assert.equal((await worker.call(alice, "POST", "/api/bot/domains/check", { host: "claw9.example.org" })).code, "no-such-entry");
});

test("only a page on the domain has the gateway's allowed origin", async (t) => {
  const { worker } = await start(t);
  await worker.giveDomain(ALICE, CLAW);
  const origin = `https://${CLAW}`;
  const seen = await (await worker.fetch("/", { host: CLAW, headers: { ...worker.bearer(ALICE), origin } })).json();
  assert.equal(seen.headers.origin, ORIGIN, "the one origin the gateway was started with");
  const foreign = await (await worker.fetch("/", { host: CLAW, headers: { ...worker.bearer(ALICE), origin: "https://evil.example" } })).json();
  assert.equal(foreign.headers.origin, "https://evil.example", "the gateway refuses it by itself");
  const socket = await worker.socket(ALICE, "/ws", origin, CLAW);
  assert.equal(typeof socket, "object", `refused with ${socket}`);
  socket.close();
  for (const other of [ORIGIN, "null", `http://${CLAW}`, `https://x.${CLAW}`, `${origin}:8443`]) {
    assert.equal(await worker.socket(ALICE, "/ws", other, CLAW), 403, other);
  }
  assert.equal((await worker.fetch("/sw.js", { host: CLAW, headers: { ...worker.bearer(ALICE), "service-worker": "script" } })).status, 200,
    "with an origin of its own a bot may have a service worker");
});

test("with BOT_DOMAIN the platform redirects each user to their bot's host", async (t) => {
  const { worker } = await start(t, { BOT_DOMAIN: "claws.example.net" });
  const own = `${ALICE}.claws.example.net`;
  await worker.as(ALICE, "/"); // it is awake, so that no waking page is in the way
  const browser = new Browser(worker);
  await browser.signIn(ORIGIN);
  const { answer, url, path } = await browser.open(`${ORIGIN}/chat?session=main`);
  assert.equal(url, `https://${own}/chat?session=main`, path.join(" → "));
  assert.equal(answer.status, 200);
  const image = await browser.send(`${ORIGIN}/image.png`, { headers: { "sec-fetch-mode": "no-cors", accept: "image/*" } });
  assert.equal((await image.json()).code, "own-address", "what is no page is not served to a cookie there");
  assert.equal((await worker.as(ALICE, "/")).status, 200, "a program may go on using one address for all");
  assert.equal((await (await worker.fetch("/", { host: own, headers: worker.bearer(BOB) })).json()).code, "not-your-bot");
  for (const host of ["undefined.claws.example.net", "claws.example.net", `x.${own}`]) {
    assert.equal((await (await worker.fetch("/", { host, headers: worker.bearer(ALICE) })).json()).code, "unknown-host", host);
  }
});

test("a proven domain gets a certificate if the operator enables it", async (t) => {
  const token = "cf-api-token";
  const cloudflare = await startCloudflare(t, token);
  const { worker, dns } = await start(t, { CF_API_TOKEN: token, CF_ZONE_ID: ZONE, CF_API_URL: cloudflare.url });
  const { proof } = await worker.call(alice, "POST", "/api/bot/domains", { host: CLAW });
  const check = () => worker.call(alice, "POST", "/api/bot/domains/check", { host: CLAW });
  assert.equal((await check()).certificate, undefined);
  assert.deepEqual(cloudflare.calls, [], "nothing is made for a claim that is not proven");
  dns.txt.set(proof.name, [proof.value]);
  assert.deepEqual((await check()).certificate, { hostname: "pending", certificate: "initializing", waiting_for: [] });
  Object.assign(cloudflare.hostnames.get(CLAW), {
    status: "pending",
    verification_errors: ["custom hostname does not CNAME to this zone."],
    ssl: { status: "pending_validation", validation_errors: [{ message: "not found (404)" }] },
  });
  assert.deepEqual((await check()).certificate.waiting_for, ["custom hostname does not CNAME to this zone.", "not found (404)"]);
  Object.assign(cloudflare.hostnames.get(CLAW), { status: "active", verification_errors: [], ssl: { status: "active" } });
  assert.deepEqual((await check()).certificate, { hostname: "active", certificate: "active", waiting_for: [] });
  assert.equal(cloudflare.calls.filter((call) => call.startsWith("POST")).length, 1, "made once, then polled");

  await (await worker.database()).prepare("UPDATE domains SET hostname_id = NULL").run();
  assert.equal((await check()).certificate.hostname, "active", "found again when its id was lost");
  await worker.call(alice, "DELETE", "/api/bot/domains", { host: CLAW });
  assert.equal(cloudflare.hostnames.size, 0);
});

test("a domain is verified even if Cloudflare refuses a certificate", async (t) => {
  const cloudflare = await startCloudflare(t, "another-token");
  const { worker } = await start(t, { CF_API_TOKEN: "wrong", CF_ZONE_ID: ZONE, CF_API_URL: cloudflare.url });
  const given = await worker.asAdmin("POST", `/api/admin/users/${ALICE}/domains`, { host: CLAW });
  assert.deepEqual([given.state, given.certificate], ["verified", undefined]);
  assert.ok(cloudflare.calls.length > 0);
});
