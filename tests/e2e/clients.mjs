// OpenClaw's own programs at a laptop of the owner's: each comes to the bot through the whole chain, with a personal token sent in
// the way it can send one. The commands are those of docs/operations.md.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:tls";
import { promisify } from "node:util";
import { BACK_MS, HOME } from "./bot.mjs";
import { Device } from "./device.mjs";
import { docker } from "./stack.mjs";
import { until } from "../until.mjs";

const run = promisify(execFile);
const OPENCLAW = ["node", "/opt/openclaw/node_modules/openclaw/openclaw.mjs"];
const remote = (url) => ({
  secrets: { providers: { default: { source: "env" } } },
  gateway: { mode: "remote", remote: { url, edgeAuth: { Authorization: { source: "env", provider: "default", id: "BOT_AUTH" } } } },
});

/** A machine that has OpenClaw and no bot; it is gone after the test. */
class Laptop {
  static async start(t, stack, name) {
    const bot = await stack.containerOf(name);
    const image = await docker("inspect", "--format", "{{.Image}}", bot.id);
    const id = await docker("run", "--detach", "--rm", "--network", "host", "--user", "moltbot", "--entrypoint", "sleep", image, "600");
    t.after(() => docker("rm", "--force", id));
    return Object.assign(new Laptop(), { id });
  }

  #exec(env, ...words) {
    const variables = Object.entries({ HOME, NODE_EXTRA_CA_CERTS: `${HOME}/cert.pem`, ...env });
    return docker("exec", ...variables.flatMap(([name, value]) => ["--env", `${name}=${value}`]), this.id, ...words);
  }

  /** Runs OpenClaw there; what it prints, also where it says no. */
  run(env, ...words) {
    return this.#exec(env, ...OPENCLAW, ...words).catch((error) => Promise.reject(new Error(`${error.stdout} ${error.stderr}`)));
  }

  /** The same without waiting for its end. */
  start(env, ...words) {
    return this.#exec(env, "sh", "-c", `"$@" > ${HOME}/said 2>&1 &`, "sh", ...OPENCLAW, ...words);
  }

  said() {
    return this.#exec({}, "tail", "-c", "2000", `${HOME}/said`);
  }

  write(path, text) {
    return this.#exec({}, "sh", "-c", 'mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1"', "sh", path, text);
  }
}

/** The bot's address as one of the Internet: its own programs send a token over TLS alone. */
async function withTls(t, stack) {
  const directory = await mkdtemp(join(tmpdir(), "moltworker-tls-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const [key, cert] = ["key.pem", "cert.pem"].map((name) => join(directory, name));
  const name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  await run("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", ...name, "-keyout", key, "-out", cert]);
  const { host, hostname, port } = new URL(stack.url);
  const certificate = await readFile(cert, "utf8");
  const server = createServer({ key: await readFile(key), cert: certificate }, (socket) => {
    const worker = connect(Number(port), hostname);
    for (const end of [socket, worker]) end.on("error", () => {});
    socket.once("data", (head) => {
      worker.write(head.toString("latin1").replace(/^host:.*$/im, `Host: ${host}`), "latin1");
      socket.pipe(worker);
    });
    worker.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return { certificate, port: String(server.address().port) };
}

/** The command line and a node host of OpenClaw. */
export async function clientsComeIn(t, stack, name) {
  const owner = await stack.token(name);
  await until(async () => (await stack.fetch("/", { token: owner })).ok, "the bot serves", { deadlineMs: BACK_MS });
  const made = await stack.fetch("/api/bot/tokens", {
    token: owner, method: "POST", body: JSON.stringify({ name: "laptop", scope: "connect" }), headers: { "content-type": "application/json" },
  });
  const { token } = await made.json();
  const { certificate, port } = await withTls(t, stack);
  const laptop = await Laptop.start(t, stack, name);
  await laptop.write(`${HOME}/cert.pem`, certificate);
  await laptop.write(`${HOME}/.openclaw/openclaw.json`, JSON.stringify(remote(`wss://localhost:${port}`)));

  const health = (token) => laptop.run({ BOT_AUTH: `Bearer ${token}` }, "gateway", "call", "health", "--json", "--token", "unused");
  const called = await health(token);
  assert.equal(JSON.parse(called.slice(called.indexOf("{"))).ok, true, called);
  await assert.rejects(health("mwk_of-nobody"), /401/, "that token opened it, and nothing else");

  const access = { CF_ACCESS_CLIENT_ID: "moltworker", CF_ACCESS_CLIENT_SECRET: token };
  await laptop.start(access, "node", "run", "--host", "localhost", "--port", port, "--tls", "--display-name", "laptop");
  const device = new Device(stack, owner);
  await device.connect();
  const connected = async () => (await device.call("node.list")).nodes.find((node) => node.displayName === "laptop" && node.connected);
  await until(connected, "the node is connected", { deadlineMs: 120_000, pauseMs: 1_000 }).catch(async (error) => {
    throw new Error(`${error.message}: ${JSON.stringify(await device.call("node.list"))} ${await laptop.said()}`);
  });
  device.close();
}
