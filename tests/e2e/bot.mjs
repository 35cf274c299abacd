// One bot's container, looked at from inside and from the host.
import { readFile } from "node:fs/promises";
import { docker } from "./stack.mjs";
import { until } from "../until.mjs";

// A gateway needs a quarter of a minute to start, more on a busy machine; a hang is found within forty seconds.
export const BACK_MS = 180_000;
/** Where the home lies, in a container and in every snapshot. */
export const HOME = "/data/moltbot";
// A minute from one snapshot to the next, and what it takes to take one on a busy machine.
const SAVED_MS = 120_000;
const HOME_MODULE = new URL("./home.mjs", import.meta.url);

/** One container, looked at from inside. */
export class Bot {
  constructor(id) {
    this.id = id;
  }

  run(script) {
    return docker("exec", this.id, "sh", "-c", script);
  }

  /** The same as the gateway's own user, to whom the home belongs. */
  own(script) {
    return docker("exec", "--user", "moltbot", "--workdir", HOME, this.id, "sh", "-c", script);
  }

  /** Everything in its home, as `home.mjs` tells it. */
  async home() {
    const script = `${await readFile(HOME_MODULE, "utf8")}\nconsole.log(JSON.stringify(await describe("${HOME}")));`;
    const node = ["node", "--no-warnings", "--input-type=module", "--eval", script];
    return JSON.parse(await docker("exec", "--user", "moltbot", this.id, ...node));
  }

  /** Asks the supervisor, with this run's token. */
  control(method, path, order) {
    const body = order ? `body: ${JSON.stringify(JSON.stringify(order))},` : "";
    return this.#ask(`"http://127.0.0.1:8081${path}", { method: "${method}", ${body} headers: {
      authorization: "Bearer " + process.env.MOLTBOT_CONTROL_TOKEN } }`);
  }

  /** Waits for a snapshot that began after `then`, by the clock that both share. */
  saved(then) {
    const met = async () => (await this.status()).backup.taken.find(({ taken_at }) => taken_at > then);
    return until(met, "everything is saved", { deadlineMs: SAVED_MS, pauseMs: 500 });
  }

  /** Orders a snapshot of what has changed, and waits for it. */
  async save() {
    const then = Date.now();
    await this.control("POST", "/v1/snapshot", { reason: "manual" });
    return this.saved(then);
  }

  /** Makes a call of the gateway's control plane, as the supervisor does: the owner's traffic it is not. */
  async rpc(method, params) {
    const { gateway_pid } = await this.status();
    const variables = `require("fs").readFileSync("/proc/${gateway_pid}/environ", "utf8").split("\\0")`;
    const password = `${variables}.find((v) => v.startsWith("OPENCLAW_GATEWAY_PASSWORD=")).split("=")[1]`;
    const body = JSON.stringify(JSON.stringify({ method, params }));
    // Only the gateway's own user sees its environment.
    const answer = await this.#ask(`"http://127.0.0.1:18789/api/v1/admin/rpc", { method: "POST", body: ${body}, headers: {
      "content-type": "application/json", authorization: "Bearer " + ${password} } }`, "moltbot");
    if (!answer.ok) throw new Error(`${method}: ${JSON.stringify(answer)}`);
    return answer.payload;
  }

  async #ask(what, user = "root") {
    const script = `fetch(${what}).then(async (r) => console.log(await r.text()))`;
    return JSON.parse(await docker("exec", "--user", user, this.id, "node", "-e", script));
  }

  /**
   * Runs JavaScript in the gateway itself, by its own debugger, until it has been evaluated or was the gateway's end. Does not
   * wait for a promise that it returns.
   */
  async inGateway(expression) {
    const { gateway_pid } = await this.status();
    await this.run(`kill -USR1 ${gateway_pid}`);
    const call = JSON.stringify({ id: 1, method: "Runtime.evaluate", params: { expression } });
    const send = `const open = (url) => { const socket = new WebSocket(url);
        socket.onopen = () => socket.send(${JSON.stringify(call)});
        socket.onmessage = ({ data }) => { if (JSON.parse(data).id === 1) process.exit(); };
        socket.onclose = () => process.exit(); };
      setTimeout(() => process.exit(1), ${BACK_MS});
      const find = () => fetch("http://127.0.0.1:9229/json/list").then((r) => r.json())
        .then(([{ webSocketDebuggerUrl }]) => open(webSocketDebuggerUrl), () => setTimeout(find, 50));
      find();`;
    await docker("exec", this.id, "node", "-e", send);
  }

  /** The process ids of everything in it, as the host counts them. */
  async processesOnHost() {
    const [, ...lines] = (await docker("top", this.id, "-eo", "pid")).split("\n");
    return lines.map(Number);
  }

  status() {
    return this.control("GET", "/v1/status");
  }

  readyAfter(pid) {
    const met = async () => {
      const status = await this.status();
      return status.phase === "ready" && status.gateway_pid !== pid && status;
    };
    return until(met, `a gateway after ${pid} is ready`, { deadlineMs: BACK_MS, pauseMs: 500 });
  }
}
