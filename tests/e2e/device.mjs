// A device of the owner's that talks to its bot: a WebSocket through the whole chain, and the gateway's own protocol
// on it, as the app and the page in a browser speak it.
import { createHash, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import WebSocket from "ws";
import { until } from "../until.mjs";

const PROTOCOL = 4;
// The page of the bot itself would have to name the build it comes from.
const CLIENT = { id: "webchat-ui", mode: "webchat", version: "1.0.0", platform: "linux" };
const SCOPES = ["operator.admin", "operator.read", "operator.write", "operator.approvals", "operator.pairing"];
// A gateway that loads its code for the first call, on a busy machine.
const ANSWER_MS = 60_000;
const SESSION = "main";

/** A device with a key of its own, which the bot has to know again. */
export class Device {
  #privateKey;
  #socket;
  #waiting = new Map();

  constructor(stack, token) {
    Object.assign(this, { stack, token });
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const raw = Buffer.from(publicKey.export({ format: "jwk" }).x, "base64url");
    this.id = createHash("sha256").update(raw).digest("hex");
    this.publicKey = raw.toString("base64url");
    this.#privateKey = privateKey;
  }

  /** Connects; what the bot says to it. From the second time on it shows the token the bot gave it the first time. */
  async connect() {
    const { url } = this.stack;
    const headers = { authorization: `Bearer ${this.token}`, origin: url };
    this.#socket = new WebSocket(new URL("/", url.replace("http", "ws")), { headers });
    const challenge = new Promise((resolve, reject) => {
      this.#socket.on("message", (data) => this.#heard(JSON.parse(data), resolve));
      this.#socket.on("error", reject);
      this.#socket.on("close", (code, reason) => this.#closed(new Error(`closed with ${code} ${reason}`), reject));
    });
    const { nonce, ts } = await challenge;
    const auth = this.deviceToken ? { deviceToken: this.deviceToken } : {};
    const signed = ["v3", this.id, CLIENT.id, CLIENT.mode, "operator", SCOPES.join(","), ts, auth.deviceToken ?? "", nonce, CLIENT.platform, ""].join("|");
    const signature = sign(null, Buffer.from(signed), this.#privateKey).toString("base64url");
    const device = { id: this.id, publicKey: this.publicKey, signature, signedAt: ts, nonce };
    const role = { role: "operator", scopes: SCOPES, caps: [] };
    const hello = await this.call("connect", { minProtocol: PROTOCOL, maxProtocol: PROTOCOL, client: CLIENT, ...role, device, auth });
    this.deviceToken ??= hello.auth.deviceToken;
    return hello;
  }

  close() {
    this.#socket.close();
  }

  /** One call of the gateway's protocol. */
  call(method, params = {}) {
    const id = randomUUID();
    const answer = new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${method} was not answered within ${ANSWER_MS} ms`)), ANSWER_MS);
      const settle = (end) => (value) => {
        clearTimeout(late);
        this.#waiting.delete(id);
        end(value);
      };
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
    });
    this.#socket.send(JSON.stringify({ type: "req", id, method, params }));
    return answer;
  }

  /** Says something and waits for the bot's whole answer. */
  async say(message) {
    await this.call("chat.send", { sessionKey: SESSION, message, idempotencyKey: randomUUID() });
    const answer = `You said: ${JSON.stringify(message)}.`;
    await until(async () => JSON.stringify(await this.history()).includes(JSON.stringify(answer).slice(1, -1)), `the bot answers to ${message}`, {
      deadlineMs: ANSWER_MS,
      pauseMs: 500,
    });
  }

  /** The conversation, as the gateway tells it. */
  async history() {
    return (await this.call("chat.history", { sessionKey: SESSION })).messages;
  }

  #heard(frame, challenged) {
    if (frame.event === "connect.challenge") return challenged(frame.payload);
    const waiting = frame.type === "res" && this.#waiting.get(frame.id);
    if (!waiting) return;
    if (frame.ok) waiting.resolve(frame.payload);
    else waiting.reject(new Error(JSON.stringify(frame.error)));
  }

  #closed(error, unchallenged) {
    unchallenged(error);
    for (const { reject } of [...this.#waiting.values()]) reject(error);
  }
}
