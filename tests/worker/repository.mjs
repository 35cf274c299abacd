// Tokens and passwords of repositories, made here from BACKUP_KEY alone: what the Worker derives has to be what
// anybody with the key derives.
import { createHash, createHmac, hkdfSync } from "node:crypto";
import { BACKUP_KEY } from "./harness.mjs";

const derived = (key, info) => Buffer.from(hkdfSync("sha256", Buffer.from(key, "base64"), "", info, 32));

export function password(user, key = BACKUP_KEY) {
  return derived(key, `moltworker restic password v1 ${user}`).toString("hex");
}

/** A token as a Sandbox mints it, with whatever changes a test wants. */
export function mint(user, { run = 1, scope = "append", expiresAt = Date.now() + 60_000, key = BACKUP_KEY, version = 1 } = {}) {
  const signed = `mr1.${version}.${user}.${run}.${scope}.${expiresAt}`;
  const mac = createHmac("sha256", derived(key, "moltworker repository token v1")).update(signed).digest("base64url");
  return `${signed}.${mac}`;
}

export function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

/** One bot's repository with one token. */
export class Repository {
  constructor(worker, user, token = mint(user)) {
    Object.assign(this, { worker, user, token });
  }
  ask(method, path, { body, headers = {}, host } = {}) {
    const authorization = this.token === null ? {} : { authorization: `Bearer ${this.token}` };
    return this.worker.fetch(`/_repo/${this.user}/${path}`, { method, body, headers: { ...authorization, ...headers }, host });
  }
  /** Adds an object under the name its bytes give it. */
  async add(kind, bytes) {
    const path = `${kind}/${sha256(bytes)}`;
    return { path, answer: await this.ask("POST", path, { body: bytes }) };
  }
  /** The code of a refusal, with its status: `404 no-such-object`. */
  async refusal(method, path, init) {
    const answer = await this.ask(method, path, init);
    const problem = await answer.json();
    return `${answer.status} ${problem.code}`;
  }
}
