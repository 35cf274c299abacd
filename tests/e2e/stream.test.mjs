// Bytes through the whole chain: browser side → wrangler dev → Worker → Sandbox → supervisor → gateway, and
// back. The gateway is an echo (echo/), everything else is the product.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { docker, startEcho } from "./stack.mjs";

const CHUNK = 1 << 20;
const CHUNKS = 200;
// An isolate may have 128 MB; a chain that holds a body back would need 200 more.
const GROWTH_LIMIT_KB = 100 * 1024;

test("streams", { timeout: 30 * 60_000 }, async (t) => {
  const stack = await startEcho(t);
  const token = await stack.token("dev-1");
  assert.equal((await stack.fetch("/headers", { token })).status, 200);

  await t.test("200 MB are echoed unchanged without being buffered", async () => {
    const sent = createHash("sha256");
    let left = CHUNKS;
    const body = new ReadableStream({
      pull(controller) {
        if (left === 0) return controller.close();
        const chunk = Buffer.alloc(CHUNK, left);
        chunk.writeUInt32BE(left);
        left -= 1;
        sent.update(chunk);
        controller.enqueue(chunk);
      },
    });
    const before = await workerdMemoryKb(stack);
    const answer = await stack.fetch("/echo", { token, method: "POST", body, duplex: "half" });
    assert.equal(answer.status, 200);
    const received = createHash("sha256");
    let bytes = 0;
    let most = 0;
    let nextLook = 0;
    for await (const chunk of answer.body) {
      received.update(chunk);
      bytes += chunk.length;
      if (bytes < nextLook) continue;
      nextLook += 10 * CHUNK;
      most = Math.max(most, await workerdMemoryKb(stack));
    }
    assert.equal(bytes, CHUNKS * CHUNK);
    assert.equal(received.digest("hex"), sent.digest("hex"));
    t.diagnostic(`workerd: ${before} kB before, at most ${most} kB while 200 MB passed`);
    assert.ok(most - before < GROWTH_LIMIT_KB, `workerd grew by ${most - before} kB`);
  });

  await t.test("each event arrives before the next one is sent", async () => {
    const answer = await stack.fetch("/events", { token });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    assert.equal((await reader.read()).value, "data: open\n\n");
    for (const event of ["one", "two", "three"]) {
      assert.equal((await (await stack.fetch(`/send?event=${event}`, { token })).json()).streams, 1);
      assert.equal((await reader.read()).value, `data: ${event}\n\n`);
    }
    await reader.cancel();
  });

  await t.test("an early answer to a large upload arrives at any size", async () => {
    for (const megabytes of [1, 4, 8, 64]) {
      const body = Buffer.alloc(megabytes << 20);
      const signal = AbortSignal.timeout(20_000);
      const answer = await stack.fetch("/nothing", { token, method: "POST", body, signal });
      assert.equal(answer.status, 404, `${megabytes} MB`);
      await answer.arrayBuffer();
    }
  });

  await t.test("one bot's agent reaches neither another's ingress nor a sidecar", async () => {
    const other = await stack.token("dev-2");
    assert.equal((await stack.fetch("/headers", { token: other })).status, 200);
    const [victim, attacker] = [await stack.containerOf("dev-1"), await stack.containerOf("dev-2")];
    const address = await addressOf(victim);
    const fromInside = (script, ...values) =>
      docker("exec", "--user", "moltbot", attacker.id, "node", "--input-type=module", "-e", script, ...values);
    const asked = `const answer = await fetch("http://" + process.argv[1] + "/headers", { headers: { "x-forwarded-user": "owner" } });
      console.log(answer.status, (await answer.json()).code);`;
    assert.equal(await fromInside(asked, `${address}:8080`), "401 ingress-secret-required");
    const relayed = `import { connect } from "node:net";
      const socket = connect(39001, process.argv[1]);
      let heard = "";
      socket.on("data", (data) => (heard += data)).on("error", () => {}).on("close", () => console.log("heard", heard));
      socket.write("CONNECT gateway:18789 HTTP/1.1\\r\\nhost: gateway\\r\\n\\r\\n");`;
    for (const sidecar of [address, "127.0.0.1"]) assert.equal(await fromInside(relayed, sidecar), "heard", sidecar);
    assert.equal((await stack.fetch("/headers", { token })).status, 200);
  });

  await t.test("the gateway never sees the caller's credentials", async () => {
    const forged = { "x-forwarded-user": "somebody", "x-moltbot-client-ip": "6.6.6.6", cookie: "__Host-molt=1" };
    const seen = await (await stack.fetch("/headers", { token, headers: forged })).json();
    assert.equal(seen["x-forwarded-user"], stack.user("dev-1").id);
    assert.equal(seen.authorization, undefined);
    assert.equal(JSON.stringify(seen).includes("6.6.6.6"), false);
    assert.deepEqual(Object.keys(seen).filter((name) => name.startsWith("x-moltbot-")), []);
  });
});

/** Where other containers find this one: it shares the network of its sidecar. */
async function addressOf({ id }) {
  const sidecar = (await docker("inspect", "--format", "{{.HostConfig.NetworkMode}}", id)).replace("container:", "");
  return docker("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", sidecar);
}

/** Resident memory of the workerd processes of this system, which are in wrangler's process group. */
async function workerdMemoryKb(stack) {
  const { readdir } = await import("node:fs/promises");
  let total = 0;
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const [stat, status] = await Promise.all(
      ["stat", "status"].map((file) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "")),
    );
    const afterName = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (!stat.includes("(workerd)") || Number(afterName[2]) !== stack.pids.wrangler) continue;
    total += Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
  }
  return total;
}
