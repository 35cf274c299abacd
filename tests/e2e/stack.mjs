// Runs the whole system on free ports with a state of its own, and looks behind it.
import { execFile, spawn } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { until } from "../until.mjs";

const run = promisify(execFile);
export const root = fileURLToPath(new URL("../../", import.meta.url));

// The first start of a day builds the image; a stop waits for wrangler, then removes containers.
const START_DEADLINE_MS = 20 * 60_000;
const STOP_DEADLINE_MS = 60_000;

/** What a person may want to look at after a test: logs and pictures. */
export const kept = join(root, "target/e2e");
await mkdir(kept, { recursive: true });

// The one that also builds where images are stand-ins.
const DOCKER = process.env.WRANGLER_DOCKER_BIN ?? "docker";

export async function docker(...args) {
  const { stdout } = await run(DOCKER, args, { maxBuffer: 64 << 20 });
  return stdout.trim();
}

/** Starts the system, with another image, `settings` of the Worker or pace of the model if so said; it stops when the test is over. */
export async function startStack(t, { dockerfile, settings = {}, paceMs = 20, tokenLifetime } = {}) {
  const state = await mkdtemp(join(tmpdir(), "moltworker-e2e-"));
  const options = ["--json-ready", "--pace-ms", String(paceMs), "--state", state];
  if (dockerfile) options.push("--dockerfile", dockerfile);
  if (tokenLifetime) options.push("--token-lifetime", String(tokenLifetime));
  for (const [name, value] of Object.entries(settings)) options.push("--set", `${name}=${value}`);
  const stack = new Stack(state, options);
  t.after(async () => {
    try {
      await stack.stop();
    } finally {
      await copyFile(join(state, "wrangler.log"), join(kept, `${t.name}.log`)).catch(() => {});
      await rm(state, { recursive: true, force: true });
    }
  });
  await stack.start("0");
  return stack;
}

/** The same with an echo in the gateway's place. */
export async function startEcho(t, options) {
  await docker("build", "--quiet", "--tag", "moltbot-sandbox:test", root);
  return startStack(t, { ...options, dockerfile: `${root}/tests/e2e/echo/Dockerfile` });
}

function timeLimit(what, ms) {
  return new Promise((_, reject) => setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms).unref());
}

export class Stack {
  #options;
  #running;

  constructor(state, options) {
    this.state = state;
    this.#options = options;
  }

  /** Starts the system on a port. */
  async start(port) {
    const child = spawn("cargo", ["xtask", "dev", ...this.#options, "--port", port], { cwd: root, stdio: ["pipe", "pipe", "pipe"] });
    const said = [];
    for (const stream of [child.stdout, child.stderr]) {
      createInterface(stream).on("line", (line) => said.push(line));
    }
    const ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
    this.#running = { child, said, ended };
    const ready = new Promise((resolve) => {
      // Builds say things on stdout as well; the line that counts is an object.
      createInterface(child.stdout).on("line", (line) => line.startsWith("{") && resolve(JSON.parse(line)));
    });
    const first = await Promise.race([ready, ended, timeLimit("the system starts", START_DEADLINE_MS)]);
    if (typeof first !== "object") throw new Error(`the system did not start:\n${said.slice(-60).join("\n")}`);
    Object.assign(this, first);
  }

  /** Stops everything but what its state directory keeps. */
  async stop() {
    const { child, said, ended } = this.#running;
    // It stops when its input ends, and so does when this process dies.
    child.stdin.end();
    const code = await Promise.race([ended, timeLimit("the system stops", STOP_DEADLINE_MS)]);
    if (code !== 0) throw new Error(`the system ended with ${code}:\n${said.slice(-40).join("\n")}`);
  }

  /** Deploys the Worker again while containers run: its process is replaced by one with a changed setting. */
  redeploy() {
    return this.reconfigure((config) => config.replace('SLEEP_AFTER = "15m"', 'SLEEP_AFTER = "16m"'));
  }

  /** The same with any `change` of its configuration, the text of the `wrangler.toml` that runs. */
  async reconfigure(change) {
    const config = join(this.state, "wrangler.toml");
    // What it builds stays as it is: wrangler would build the module again, for a minute and more on a busy machine.
    const tables = (await readFile(config, "utf8")).split(/^(?=\[)/m);
    const before = tables.filter((table) => !table.startsWith("[build]")).join("");
    const after = change(before);
    if (after === before) throw new Error("the configuration stays as it is");
    const times = async () => (await readFile(this.log, "utf8")).split("Local server updated and ready").length;
    const earlier = await times();
    await writeFile(config, after);
    await until(async () => (await times()) > earlier, "the Worker was replaced");
  }

  /** Stops it and starts it again at the same address and with what it had kept. No container outlives that. */
  async restart() {
    await this.stop();
    await this.start(new URL(this.url).port);
  }

  user(name) {
    return this.users.find((user) => user.name === name);
  }

  /** An access token by the local project's keys; `options` as `cargo xtask token` takes them. */
  async token(name, ...options) {
    const { stdout } = await run("cargo", ["xtask", "token", name, "--keys", this.keys, ...options], { cwd: root });
    return stdout.trim();
  }

  fetch(path, { token, ...init } = {}) {
    const headers = new Headers(init.headers);
    if (token) headers.set("authorization", `Bearer ${token}`);
    return fetch(new URL(path, this.url), { redirect: "manual", ...init, headers });
  }

  /** Makes `host` the domain of a user, on an admin's word. */
  async giveDomain(name, host) {
    const given = await this.fetch(`/api/admin/users/${this.user(name).id}/domains`, {
      method: "POST",
      token: await this.token("dev-admin"),
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ host }),
    });
    if (!given.ok) throw new Error(`${host} is not ${name}'s: ${given.status} ${await given.text()}`);
  }

  /** The bots' containers that exist, running or not, without their network sidecars. */
  async containers() {
    const ids = await docker("ps", "--all", "--quiet", "--no-trunc", "--filter", this.containerFilter);
    if (!ids) return [];
    // Of one that has gone between the two questions nothing is told.
    const told = await docker("inspect", ...ids.split("\n")).catch((error) => {
      if (!error.stderr?.includes("No such object")) throw error;
      return error.stdout;
    });
    const found = JSON.parse(told);
    return found.filter(({ Name }) => !Name.endsWith("-proxy")).map(describe);
  }

  /** Those that run. */
  async running() {
    return (await this.containers()).filter((container) => container.running);
  }

  /** Makes cron run once, and waits until the Worker has done what it does then. */
  async tick() {
    const ticked = await this.fetch("/cdn-cgi/handler/scheduled?cron=*+*+*+*+*");
    if (!ticked.ok) throw new Error(`cron's run was answered ${ticked.status}`);
  }

  /** The running container of one user's bot. */
  async containerOf(name) {
    const { id } = this.user(name);
    const running = (await this.running()).filter((container) => container.user === id);
    if (running.length > 1) throw new Error(`${name} has ${running.length} containers`);
    return running[0];
  }
}

function describe({ Id, State, Config }) {
  const variable = (name) => Config.Env.find((line) => line.startsWith(`${name}=`))?.slice(name.length + 1);
  return { id: Id, running: State.Running, startedAt: State.StartedAt, user: variable("MOLTBOT_USER_ID"), run: variable("MOLTBOT_RUN") };
}
