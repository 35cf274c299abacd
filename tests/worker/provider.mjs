// The local counterpart of Supabase Auth, alone (`cargo xtask identity`), and access tokens signed with its keys.
import { spawn } from "node:child_process";
import { createPrivateKey, createPublicKey } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import * as tokens from "./tokens.mjs";

/** Its first two people and its admin. */
export const ALICE = "de000000-0000-4000-8000-000000000001";
export const BOB = "de000000-0000-4000-8000-000000000002";
export const ADMIN = "ad000000-0000-4000-8000-000000000001";
/** What Alice types to sign in. */
export const ALICE_LOGIN = { email: "dev-1@moltworker.test", password: "dev-1-password" };
export const CODE_GRANT = "/token?grant_type=pkce";
export const REFRESH_GRANT = "/token?grant_type=refresh_token";

const root = fileURLToPath(new URL("../../", import.meta.url));
// Made once: an RSA key takes a while.
const KEYS = join(root, "target/worker/identity");
const JWKS = "/.well-known/jwks.json";

/** Runs it until the test is over. It is stricter than the real one unless told otherwise: a refresh token works once. */
export async function startProvider(t, { strict = true, options = [] } = {}) {
  const [program, ...before] = process.env.XTASK_BIN ? [process.env.XTASK_BIN] : ["cargo", "xtask"];
  const args = [...before, "identity", "--port", "0", "--keys", KEYS, "--test-control", ...options];
  // It stops when this process is gone and with it the other end of stdin.
  const child = spawn(program, args, { cwd: root, stdio: ["pipe", "pipe", "pipe"] });
  const said = [];
  createInterface(child.stderr).on("line", (line) => said.push(line));
  const ended = once(child, "exit");
  t.after(async () => {
    child.kill("SIGTERM");
    await ended;
  });
  const [line] = await Promise.race([once(createInterface(child.stdout), "line"), ended.then(() => [])]);
  if (typeof line !== "string") throw new Error(`the identity provider did not start:\n${said.join("\n")}`);
  const provider = new Provider(JSON.parse(line), JSON.parse(await readFile(join(KEYS, "keys.json"))));
  await provider.set({ strict });
  return provider;
}

class Provider {
  #overrides = {};

  constructor({ supabaseUrl, anonKey, publishableKey, jwtSecret, users, keySet }, { es256_pkcs8, rs256_pkcs1 }) {
    const key = (jwk, type, text) => {
      const privateKey = createPrivateKey({ key: Buffer.from(text, "base64"), format: "der", type });
      return { alg: jwk.alg, kid: jwk.kid, jwk, privateKey, publicKey: createPublicKey(privateKey) };
    };
    const [es, rs] = keySet.keys;
    Object.assign(this, { url: supabaseUrl, issuer: `${supabaseUrl}/auth/v1`, anonKey, publishableKey, users });
    this.keys = { es: key(es, "pkcs8", es256_pkcs8), rs: key(rs, "pkcs1", rs256_pkcs1), hs: tokens.hsKey(jwtSecret) };
  }

  /** What the Worker is told about it. */
  settings() {
    return { SUPABASE_URL: this.url, SUPABASE_ANON_KEY: this.anonKey, SUPABASE_JWT_SECRET: this.keys.hs.secret };
  }
  claims(changes) {
    return tokens.claims(this.issuer, changes);
  }
  token(changes = {}, key = this.keys.es) {
    return tokens.sign(this.claims(changes), key);
  }

  /** Has it behave otherwise from now on, as `Overrides` in xtask/src/dev/identity/test_control.rs tells. */
  async set(changes) {
    Object.assign(this.#overrides, changes);
    const answer = await fetch(`${this.url}/test-control`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(this.#overrides),
    });
    if (!answer.ok) throw new Error(`the identity provider refused ${JSON.stringify(changes)}: ${await answer.text()}`);
  }
  /** Has it publish these keys and no others. */
  publish(...keys) {
    return this.set({ key_set: keys.map(({ jwk }) => jwk) });
  }
  async #heard() {
    return (await (await fetch(`${this.url}/test-control`)).json()).calls;
  }
  /** Every call but those for the keys: `{ path, apikey, authorization, sb_forwarded_for, body }`. */
  async calls() {
    return (await this.#heard()).filter(({ path }) => path !== JWKS);
  }
  /** Those whose path begins so. */
  async called(path) {
    return (await this.calls()).filter((call) => call.path.startsWith(path));
  }
  /** How often it was asked for its keys. */
  async asked() {
    return (await this.#heard()).filter(({ path }) => path === JWKS).length;
  }
  /** The last mail to that address: `{ link, code }`. */
  async mailTo(address) {
    const mails = await (await fetch(`${this.url}/mails`)).json();
    return mails.find(({ to }) => to === address);
  }

  /** Signs the first person in on the page that plays an OAuth provider; where that leads back to. */
  async authorize(url) {
    const away = await fetch(url, { redirect: "manual" });
    const page = await (await fetch(new URL(away.headers.get("location"), url))).text();
    const state = /name=state value=([\w-]+)/.exec(page)[1];
    return this.#leadsTo(`${this.issuer}/callback?state=${state}&person=${this.users[0].name}`);
  }
  /** Opens the link of a mail; where that leads. */
  openLink({ link }) {
    return this.#leadsTo(link);
  }
  async #leadsTo(url) {
    const answer = await fetch(url, { redirect: "manual" });
    if (answer.status !== 302) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
    return new URL(answer.headers.get("location"));
  }
}
