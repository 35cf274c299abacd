// Runs the whole system on free ports with a state of its own, and looks behind it.
import { execFile, spawn } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
export const root = fileURLToPath(new URL("../../", import.meta.url));

// The first start of a day builds the image; a stop waits for wrangler, then removes containers.
const START_DEADLINE_MS = 20 * 60_000;
const STOP_DEADLINE_MS = 60_000;

/** What a person may want to look at after a test: logs and pictures. */
export const kept = join(root, "target/e2e");
await mkdir(kept, { recursive: true });

export async function docker(...args) {
  const { stdout } = await run("docker", args, { maxBuffer: 64 << 20 });
  return stdout.trim();
}

/** Asks until `met` answers something true; `what` is for the message when it never does. */
export async function until(what, met, { deadlineMs = 60_000, pauseMs = 100 } = {}) {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    const answer = await met();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** Starts the system, with another image, `settings` of the Worker or pace of the model if so said; it stops when the test is over. */
export async function startStack(t, { dockerfile, settings = {}, paceMs = 20, tokenLifetime } = {}) {
  const state = await mkdtemp(join(tmpdir(), "moltworker-e2e-"));
  const options = ["--json-ready", "--port", "0", "--pace-ms", String(paceMs), "--state", state];
  if (dockerfile) options.push("--dockerfile", dockerfile);
  if (tokenLifetime) options.push("--token-lifetime", String(tokenLifetime));
  for (const [name, value] of Object.entries(settings)) options.push("--set", `${name}=${value}`);
  const child = spawn("cargo", ["xtask", "dev", ...options], { cwd: root, stdio: ["pipe", "pipe", "pipe"] });
  const said = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on("line", (line) => said.push(line));
  }
  const ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
  const stop = async () => {
    // It stops when its input ends, and so does when this process dies.
    child.stdin.end();
    const code = await Promise.race([ended, timeLimit("the system stops", STOP_DEADLINE_MS)]);
    await copyFile(join(state, "wrangler.log"), join(kept, `${t.name}.log`)).catch(() => {});
    await rm(state, { recursive: true, force: true });
    return code;
  };
  t.after(async () => {
    const code = await stop();
    if (code !== 0) throw new Error(`the system ended with ${code}:\n${said.slice(-40).join("\n")}`);
  });
  const ready = new Promise((resolve) => {
    // Builds say things on stdout as well; the line that counts is an object.
    createInterface(child.stdout).on("line", (line) => line.startsWith("{") && resolve(JSON.parse(line)));
  });
  const first = await Promise.race([ready, ended, timeLimit("the system starts", START_DEADLINE_MS)]);
  if (typeof first !== "object") throw new Error(`the system did not start:\n${said.slice(-60).join("\n")}`);
  return new Stack(first);
}

function timeLimit(what, ms) {
  return new Promise((_, reject) => setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms).unref());
}

export class Stack {
  constructor(facts) {
    Object.assign(this, facts);
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

  /** The bots' containers that exist, running or not, without their network sidecars. */
  async containers() {
    const ids = await docker("ps", "--all", "--quiet", "--no-trunc", "--filter", this.containerFilter);
    if (!ids) return [];
    const found = JSON.parse(await docker("inspect", ...ids.split("\n")));
    return found.filter(({ Name }) => !Name.endsWith("-proxy")).map(describe);
  }

  /** Those that run. */
  async running() {
    return (await this.containers()).filter((container) => container.running);
  }

  /** Makes the clock tick once, and waits until the Worker has done what it does then. */
  async tick() {
    const ticked = await this.fetch("/cdn-cgi/handler/scheduled?cron=*+*+*+*+*");
    if (!ticked.ok) throw new Error(`the clock's tick was answered ${ticked.status}`);
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
