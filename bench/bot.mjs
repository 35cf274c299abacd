// The real supervisor as a process of its own, with the environment a Sandbox starts its container with.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { once } from "node:events";
import { ALICE } from "../tests/worker/harness.mjs";
import { until } from "../tests/until.mjs";

export const GLANCE_MS = 20;
const DEADLINE_MS = 600_000;

/** The most memory a process has had, in MB; 0 once it has ended. */
export function peak(pid) {
  return Number(/^VmHWM:\s+(\d+)/m.exec(contentOf(`/proc/${pid}/status`))?.[1] ?? 0) / 1_024;
}

/** Seconds of processor time a process has taken, its children that are over included. */
export function processorSeconds(pid) {
  const fields = contentOf(`/proc/${pid}/stat`).split(") ")[1]?.split(" ") ?? [];
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
}

function contentOf(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** What a Sandbox starts its container with. */
export async function environment(worker, counter) {
  await worker.as(ALICE, "/");
  const { starts } = await until(async () => {
    const record = await worker.record(ALICE);
    return record.starts.length > 0 && record;
  }, "the bot is started");
  const { env } = starts.at(-1);
  return { ...env, MOLTBOT_REPOSITORY_URL: env.MOLTBOT_REPOSITORY_URL.replace(/^https?:\/\/[^/]+/, counter.url) };
}

/** The supervisor as a process of its own. */
export class Bot {
  /** `share`: the part of a processor it runs on, if not all there is. */
  constructor(gateway, env, share) {
    Object.assign(this, { gateway, env, share });
  }
  async start(home) {
    const env = {
      ...this.env,
      MOLTBOT_HOME: home,
      TEST_GATEWAY_PROGRAM: this.gateway,
      TEST_GATEWAY_ARGS: "--no-rpc",
      TEST_GATEWAY_PORT: "18790",
      TEST_INGRESS_ADDRESS: "127.0.0.1:0",
      TEST_CONTROL_ADDRESS: "127.0.0.1:0",
      // The snapshots that are measured, and no others.
      TEST_SNAPSHOT_SETTLE_MS: "3600000",
      TEST_SNAPSHOT_SPACING_MS: "3600000",
    };
    const [program, args] = this.share?.within(process.env.SUPERVISOR_BIN, []) ?? [process.env.SUPERVISOR_BIN, []];
    this.child = spawn(program, args, { env, stdio: ["ignore", "ignore", "pipe"] });
    this.pid = this.child.pid;
    this.closed = once(this.child, "close");
    this.output = "";
    createInterface({ input: this.child.stderr }).on("line", (line) => (this.output += `${line}\n`));
    const control = await until(() => /control on (\S+)/.exec(this.output)?.[1], "the control port is open");
    this.control = `http://${control}`;
  }
  async status() {
    return (await this.ask("GET", "/v1/status")).json();
  }
  ask(method, path, body) {
    const headers = { authorization: `Bearer ${this.env.MOLTBOT_CONTROL_TOKEN}` };
    return fetch(`${this.control}${path}`, { method, headers, body });
  }
  /** Waits until a backup process has come and gone. */
  async backupProcess() {
    const ours = () => {
      const children = contentOf(`/proc/${this.pid}/task/${this.pid}/children`).trim().split(" ");
      return children.find((pid) => contentOf(`/proc/${pid}/cmdline`).endsWith("\0backup\0"));
    };
    const pid = await until(ours, "a backup process begins", { deadlineMs: DEADLINE_MS, pauseMs: 20 });
    const begun = performance.now();
    let peakMb = 0;
    let processor = 0;
    await until(() => {
      processor = Math.max(processor, processorSeconds(pid));
      peakMb = Math.max(peakMb, peak(pid));
      return ours() !== pid;
    }, "the backup process is over", { deadlineMs: DEADLINE_MS, pauseMs: 20 });
    return { seconds: (performance.now() - begun) / 1_000, peakMb, processor };
  }
  async snapshot() {
    await until(async () => (await this.status()).phase === "ready", "the gateway is ready");
    const accepted = await this.ask("POST", "/v1/snapshot", JSON.stringify({ reason: "manual" }));
    if (accepted.status !== 202) throw new Error(`a snapshot is refused: ${await accepted.text()}`);
    const found = await this.backupProcess();
    const { error } = (await this.status()).backup;
    if (error) throw new Error(`no snapshot: ${error.message}`);
    return found;
  }
  async restore(home) {
    await this.start(home);
    const found = await this.backupProcess();
    const { restored, error } = await until(async () => {
      const { backup } = await this.status();
      return (backup.restored || backup.error) && backup;
    }, "the restore is accounted for");
    if (!restored?.snapshot) throw new Error(`not restored: ${error?.message}`);
    // By its own clock: a process that lasts for milliseconds is seen late.
    return { ...found, seconds: restored.duration_ms / 1_000 };
  }
  kill() {
    this.child?.kill("SIGKILL");
  }
  /** Told to stop, and gone. */
  async end() {
    this.child.kill("SIGTERM");
    await this.closed;
  }
}
