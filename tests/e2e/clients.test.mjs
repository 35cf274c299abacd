// OpenClaw's own programs at a laptop of the owner's: each comes to the bot through the whole chain, with a personal token sent in
// the way it can send one. The commands and the configuration are those of docs/operations.md.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createServer } from "node:tls";
import { promisify } from "node:util";
import { BACK_MS, HOME } from "./bot.mjs";
import { docker, root, startStack } from "./stack.mjs";
import { until } from "../until.mjs";

const run = promisify(execFile);
const OPENCLAW = ["node", "/opt/openclaw/node_modules/openclaw/openclaw.mjs"];
const NAME = "dev-1";
// A node host loads all that it offers before it connects.
const NODE_MS = 120_000;
// What is where a node host and a command line keep their state.
const [AT_NODE, AT_CLI] = [`${HOME}/node`, `${HOME}/cli`];

/** A machine that has OpenClaw and no bot; it is gone after the test. */
class Laptop {
  static async start(t, stack) {
    const bot = await stack.containerOf(NAME);
    const image = await docker("inspect", "--format", "{{.Image}}", bot.id);
    const id = await docker("run", "--detach", "--rm", "--network", "host", "--user", "moltbot", "--entrypoint", "sleep", image, "1200");
    t.after(() => docker("rm", "--force", id));
    return Object.assign(new Laptop(), { id });
  }

  #exec(env, ...words) {
    const variables = Object.entries({ NODE_EXTRA_CA_CERTS: `${HOME}/cert.pem`, ...env });
    return docker("exec", ...variables.flatMap(([name, value]) => ["--env", `${name}=${value}`]), this.id, ...words);
  }

  /** Runs OpenClaw's command line with a token there; what it answers, also where it says no. */
  cli(token, ...words) {
    const env = { HOME: AT_CLI, BOT_AUTH: `Bearer ${token}` };
    return this.#exec(env, ...OPENCLAW, ...words).catch((error) => Promise.reject(new Error(`${error.stdout} ${error.stderr}`)));
  }

  async json(token, ...words) {
    const said = await this.cli(token, ...words, "--json");
    return JSON.parse(said.slice(said.indexOf("{")));
  }

  /** Starts a node host there, and does not wait for its end. It says what it says into a file of this name. */
  node(token, port, said) {
    const env = { HOME: AT_NODE, CF_ACCESS_CLIENT_ID: "moltworker", CF_ACCESS_CLIENT_SECRET: token };
    const words = [...OPENCLAW, "node", "run", "--host", "localhost", "--port", port, "--tls", "--display-name", "laptop"];
    return this.#exec(env, "sh", "-c", 'mkdir -p "$HOME"; file=$1; shift; "$@" > "$file" 2>&1 &', "sh", said, ...words);
  }

  /** Waits until that node host has said what matches. */
  async said(file, pattern) {
    let text = "";
    const found = async () => {
      text = await this.#exec({}, "cat", file).catch(() => "");
      return text.match(pattern);
    };
    return until(found, `it says ${pattern}`, { deadlineMs: NODE_MS, pauseMs: 500 }).catch((error) => {
      throw new Error(`${error.message}: ${text.slice(-2_000)}`);
    });
  }

  write(path, text) {
    return this.#exec({}, "sh", "-c", 'mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1"', "sh", path, text);
  }
}

/** The configuration of the command line, as the documentation has it. */
async function documented(url) {
  const page = await readFile(join(root, "docs/operations.md"), "utf8");
  const [, section] = page.split("\n## Devices and programs\n");
  const [text] = section.match(/^\{\n.*?^\}$/ms);
  assert.match(text, /wss:\/\/bots\.example\.com/);
  return text.replace("wss://bots.example.com", url);
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
    let head = "";
    const collect = (data) => {
      head += data.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      socket.off("data", collect);
      worker.write(head.replace(/^host:.*$/im, `Host: ${host}`), "latin1");
      socket.pipe(worker);
    };
    socket.on("data", collect);
    worker.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return { certificate, port: String(server.address().port) };
}

test("clients", { timeout: 30 * 60_000 }, async (t) => {
  const stack = await startStack(t);
  const owner = await stack.token(NAME);
  await until(async () => (await stack.fetch("/", { token: owner })).ok, "the bot serves", { deadlineMs: BACK_MS });
  const made = await stack.fetch("/api/bot/tokens", {
    token: owner, method: "POST", body: JSON.stringify({ name: "laptop", scope: "connect" }), headers: { "content-type": "application/json" },
  });
  const { token } = await made.json();
  const { certificate, port } = await withTls(t, stack);
  const laptop = await Laptop.start(t, stack);
  await laptop.write(`${HOME}/cert.pem`, certificate);
  await laptop.write(`${AT_CLI}/.openclaw/openclaw.json`, await documented(`wss://localhost:${port}`));

  await t.test("OpenClaw's command line comes in with a personal token", async () => {
    assert.equal((await laptop.json(token, "gateway", "call", "health")).ok, true);
    assert.ok(Array.isArray((await laptop.json(token, "gateway", "call", "sessions.list")).sessions));
    await assert.rejects(laptop.json("mwk_of-nobody", "gateway", "call", "health"), /401/, "that token opened it, and nothing else");
  });

  await t.test("a node host comes in with one once its owner has approved it", async () => {
    await laptop.node(token, port, `${HOME}/first`);
    const [, request] = await laptop.said(`${HOME}/first`, /pairing required.*requestId: ([0-9a-f-]+)/);
    await laptop.cli(token, "devices", "approve", request);
    await laptop.node(token, port, `${HOME}/second`);
    await laptop.said(`${HOME}/second`, /node host gateway connected/);
    const { nodes } = await laptop.json(token, "nodes", "status");
    assert.deepEqual(nodes.map(({ displayName, connected }) => [displayName, connected]), [["laptop", true]]);

    await laptop.node("mwk_of-nobody", port, `${HOME}/refused`);
    await laptop.said(`${HOME}/refused`, /401/);
  });
});
