// Runs the built Worker in workerd with everything local, and the counterpart of the identity provider.
import { readFile, readdir } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { once } from "node:events";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { Miniflare } from "miniflare";
import WebSocket from "ws";
import { until } from "../until.mjs";
import { misfits } from "./conformance.mjs";
import { ADMIN, startProvider } from "./provider.mjs";
import { SESSION_KEY } from "./sealed.mjs";

export const HOST = "bots.example.com";
export const ORIGIN = `https://${HOST}`;
export { ADMIN, ALICE, ALICE_LOGIN, BOB } from "./provider.mjs";
export const BACKUP_KEY = Buffer.alloc(32, 9).toString("base64");
export const OPERATOR_TOKEN = "operator-".repeat(4);
export const MONITOR_TOKEN = "monitor-".repeat(4);

/** What an admin's token says. */
export const ADMIN_CLAIMS = { sub: ADMIN, aal: "aal2", app_metadata: { role: "admin" } };
/** The headers of whoever has this token. */
export const bearer = (token) => ({ authorization: `Bearer ${token}` });

const root = new URL("../../", import.meta.url);
const wrangler = await readFile(new URL("wrangler.toml", root), "utf8");
const compatibilityDate = /^compatibility_date = "(.+)"$/m.exec(wrangler)[1];

/** The paths that are on bots' own hosts as well, by the table of endpoints. */
const SHARED_PATHS = JSON.parse(await readFile(new URL("tests/contract/endpoints.json", root), "utf8"))
  .filter(({ hosts }) => hosts === "both").map(({ path }) => path);

// What the code declares, by the list of wrangler.toml that has it (core/src/settings/bindings.rs).
const bindingsByList = JSON.parse(await readFile(new URL("tests/contract/bindings.json", root), "utf8"));

/** What a rate limit allows in wrangler.toml. */
function limitOf(name) {
  const entry = wrangler.split("[[ratelimits]]").find((text) => text.includes(`name = "${name}"`));
  return Number(/^simple = \{ limit = (\d+), period = 60 \}$/m.exec(entry)[1]);
}

/** How a queue is consumed in wrangler.toml, as miniflare names it. */
function consumers() {
  const tables = wrangler.split("[[queues.consumers]]").slice(1).map((text) => text.split(/^\[/m)[0]);
  return Object.fromEntries(tables.map((text) => {
    const value = (name) => new RegExp(`^${name} = (.+)$`, "m").exec(text)?.[1];
    const parsed = (name) => value(name) && JSON.parse(value(name));
    const [maxBatchSize, maxBatchTimeout] = [parsed("max_batch_size"), parsed("max_batch_timeout")];
    const [maxRetries, deadLetterQueue] = [parsed("max_retries"), parsed("dead_letter_queue")];
    return [parsed("queue"), { maxBatchSize, maxBatchTimeout, maxRetries, ...(deadLetterQueue && { deadLetterQueue }) }];
  }));
}
/** The queue that is written to by this name. */
function queueOf(name) {
  const producer = wrangler.split("[[queues.producers]]").find((text) => text.includes(`binding = "${name}"`));
  return { queueName: /^queue = "(.+)"$/m.exec(producer)[1] };
}

/** The files of the admin UI, as wrangler.toml has them: the Worker is asked first. */
const ASSETS = {
  directory: fileURLToPath(new URL("admin-ui/dist", root)),
  binding: bindingsByList.assets[0],
  routerConfig: { has_user_worker: true, invoke_user_worker_ahead_of_assets: true },
  assetConfig: { html_handling: "none", not_found_handling: "none" },
};

/** `assets` costs a second runtime service, so that only tests of the admin UI have them. `port` is one that is free. */
export async function startWorker(t, { bindings = {}, without = [], limits = {}, provider, assets = false, port } = {}) {
  provider ??= await startProvider(t, { options: ["--redirect-host", HOST] });
  const settings = {
    PUBLIC_URL: ORIGIN,
    ...provider.settings(),
    SESSION_KEY: SESSION_KEY.toString("base64"),
    BACKUP_KEY,
    REPOSITORY_OPERATOR_TOKEN: OPERATOR_TOKEN,
    MONITOR_TOKEN,
    ...bindings,
  };
  for (const name of without) delete settings[name];
  const bound = (list, option) => Object.fromEntries(
    bindingsByList[list].filter((name) => !without.includes(name)).map((name) => [name, option(name)]),
  );
  const text = (path) => readFile(new URL(path, root), "utf8");
  const log = { text: "" };
  const options = {
    modules: [
      { type: "ESModule", path: "entry.mjs", contents: await text("tests/worker/seam/entry.mjs") },
      { type: "ESModule", path: "fake-container.mjs", contents: await text("tests/worker/seam/fake-container.mjs") },
      { type: "ESModule", path: "meter.mjs", contents: await text("tests/worker/seam/meter.mjs") },
      { type: "ESModule", path: "wasm-memory.mjs", contents: await text("tests/worker/seam/wasm-memory.mjs") },
      { type: "ESModule", path: "index.js", contents: await text("build/index.js") },
      { type: "Text", path: "openapi.txt", contents: await text("build/openapi.txt") },
      { type: "CompiledWasm", path: "index_bg.wasm", contents: await readFile(new URL("build/index_bg.wasm", root)) },
    ],
    compatibilityDate,
    durableObjects: bound("durable_objects.bindings", () => ({ className: "Sandbox", useSQLite: true })),
    d1Databases: bound("d1_databases", (name) => name),
    r2Buckets: bound("r2_buckets", (name) => name),
    ratelimits: bound("ratelimits", (name) => ({ namespace_id: name, simple: { limit: limits[name] ?? limitOf(name), period: 60 } })),
    analyticsEngineDatasets: bound("analytics_engine_datasets", (name) => ({ dataset: name })),
    queueProducers: bound("queues.producers", queueOf),
    queueConsumers: without.includes("JOBS") ? {} : consumers(),
    bindings: settings,
    unsafeTriggerHandlers: true,
    ...(assets && { assets: ASSETS }),
    ...(port && { port }),
    // Set LOG=1 to see what the Worker logs.
    handleRuntimeStdio: (stdout, stderr) => {
      stdout.on("data", (data) => {
        log.text += data;
        if (process.env.LOG) process.stdout.write(data);
      });
      stderr.on("data", (data) => process.env.LOG && process.stderr.write(data));
    },
  };
  const mf = new Miniflare(options);
  t.after(() => mf.dispose());
  const address = await mf.ready;
  if (!without.includes("DB")) await migrate(await mf.getD1Database("DB"));
  return new Worker(mf, address, provider, options, log);
}

/** All in one go: each question to the runtime from outside takes as long as a hundred statements. */
async function migrate(database) {
  const folder = new URL("migrations/", root);
  const files = await Promise.all((await readdir(folder)).sort().map((file) => readFile(new URL(file, folder), "utf8")));
  const statements = files.flatMap((sql) => sql.replace(/--.*$/gm, "").replace(/\s+/g, " ").split(";")).filter((statement) => statement.trim());
  await database.batch(statements.map((statement) => database.prepare(statement)));
}

class Worker {
  constructor(mf, address, provider, options, log) {
    Object.assign(this, { mf, address, provider, options, log });
  }
  /** The lines of the log about this, as soon as there is one. */
  logged(event) {
    const lines = () => this.log.text.split("\n").filter((line) => line.includes(`"event":"${event}"`));
    return until(() => lines().length > 0 && lines().map((line) => JSON.parse(line)), `the log has ${event}`);
  }
  /**
   * A request with just these headers, over a real socket: `fetch` would add some of its own, hide
   * `content-length` and unpack compressed bodies.
   */
  async fetch(path, { method = "GET", headers = {}, body, host = HOST } = {}) {
    const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
    const request = httpRequest(this.address, { method, path, headers: { host, ...length, ...headers } });
    request.end(body);
    const [answer] = await once(request, "response");
    const pairs = Array.from({ length: answer.rawHeaders.length / 2 }, (_, i) => answer.rawHeaders.slice(2 * i, 2 * i + 2));
    const empty = [204, 304].includes(answer.statusCode);
    const response = new Response(empty ? null : Readable.toWeb(answer), { status: answer.statusCode, headers: pairs });
    return this.judged(method, path, { host, ...headers }, response);
  }
  /** Whatever a program is answered has to be as the OpenAPI document says, in every test. */
  async judged(method, path, { host, ...headers }, response) {
    const page = headers["sec-fetch-mode"] === "navigate" || headers.accept?.includes("text/html");
    const described = host === HOST || SHARED_PATHS.includes(path.split("?")[0]);
    if (!described || page || !/^\/(api\/|healthz)/.test(path)) return response;
    const { status, headers: answered } = response;
    // A document is read to judge it; of bytes and lines, which may go on, the head is.
    const isDocument = answered.get("content-type")?.includes("json");
    const bytes = isDocument && Buffer.from(await response.arrayBuffer());
    const wrong = misfits(method, path, response, isDocument ? bytes.toString() : "");
    if (wrong.length > 0) throw new Error(`not as docs/openapi.json says:\n${wrong.join("\n")}`);
    if (!isDocument) return response;
    return new Response(bytes.length > 0 ? bytes : null, { status, headers: answered });
  }
  /** The same with a good token of that user. */
  as(user, path, init = {}) {
    return this.fetch(path, { ...init, headers: { ...this.bearer(user), ...init.headers } });
  }
  bearer(user) {
    return bearer(this.provider.token({ sub: user }));
  }
  adminBearer() {
    return bearer(this.provider.token(ADMIN_CLAIMS));
  }
  /** A bot's state, as its owner is told. */
  async status(user) {
    return (await this.as(user, "/api/bot")).json();
  }
  /** Waits until that is its state. */
  reaches(user, state) {
    return until(async () => (await this.status(user)).state === state, `${user}'s bot is ${state}`);
  }
  /** An order to one's own bot. */
  order(user, name) {
    return this.as(user, `/api/bot/${name}`, { method: "POST" });
  }
  /** An admin's order to a user's bot, or without a name its state. */
  admin(user, name, asked = "POST") {
    const [path, method] = name ? [`/api/admin/bots/${user}/${name}`, asked] : [`/api/admin/bots/${user}`, "GET"];
    return this.fetch(path, { method, headers: this.adminBearer() });
  }
  /** A call of the JSON API: `who` is the claims of the caller's token. */
  async call(who, method, path, document) {
    const headers = bearer(this.provider.token(who));
    const body = document === undefined ? undefined : JSON.stringify(document);
    if (body) headers["content-type"] = "application/json";
    const answer = await this.fetch(path, { method, headers, body });
    const text = await answer.text();
    return { status: answer.status, ...(text && JSON.parse(text)) };
  }
  /** The same by an admin. */
  asAdmin(method, path, document) {
    return this.call(ADMIN_CLAIMS, method, path, document);
  }
  /** Makes `host` the domain of `user`, on an admin's word. */
  async giveDomain(user, host) {
    const given = await this.asAdmin("POST", `/api/admin/users/${user}/domains`, { host });
    if (given.state !== "verified") throw new Error(`${host} is not ${user}'s: ${JSON.stringify(given)}`);
  }
  database() {
    return this.mf.getD1Database("DB");
  }
  /** Starts the runtime anew: what isolates and objects remember is gone, what is stored stays. */
  async restart(bindings = {}) {
    Object.assign(this.options.bindings, bindings);
    await this.mf.setOptions(this.options);
    this.address = await this.mf.ready;
  }
  /** An open WebSocket of that user, or the status it was refused with. */
  async socket(user, path, origin, host = HOST) {
    const socket = new WebSocket(new URL(path, this.address), { headers: { host, ...this.bearer(user) }, origin });
    return Promise.race([
      once(socket, "open").then(() => socket),
      once(socket, "unexpected-response").then(([, answer]) => answer.statusCode),
    ]);
  }
  /** An open WebSocket with just these headers, and the headers it was opened with. */
  async upgrade(path, headers) {
    const socket = new WebSocket(new URL(path, this.address), { headers: { host: HOST, ...headers } });
    const [[answer]] = await Promise.all([once(socket, "upgrade"), once(socket, "open")]);
    return { socket, headers: answer.headers };
  }
  /** Waits until a request with this cookie is answered so: what failed is not tried again at once. */
  later(cookie, status) {
    return until(async () => (await this.fetch("/", { headers: { cookie } })).status === status, `a ${status}`);
  }
  async fake(user, verb, body) {
    const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    const answer = await this.mf.dispatchFetch(`http://fake.test/${user}/${verb}`, init);
    const text = await answer.text();
    return text ? JSON.parse(text) : undefined;
  }
  record(user) {
    return this.fake(user, "record");
  }
  /** Every question any Sandbox was asked so far: `[name, command]`. */
  asked() {
    return this.fake("any", "asked");
  }
  /** Sets the Worker's clock ahead of this machine's. */
  ahead(ms) {
    return this.fake("any", `clock?ahead=${ms}`);
  }
  /**
   * Cron's trigger, as it comes once a minute; waits until its work is done. Over a socket: `getWorker` stops this process meanwhile,
   * so that nobody reads the log, and a Worker that has more of it to write than a pipe holds waits for ever.
   */
  async cron() {
    const ticked = await fetch(new URL("/cdn-cgi/handler/scheduled?cron=*+*+*+*+*", this.address));
    if (!ticked.ok) throw new Error(`cron's run was answered ${ticked.status}`);
  }
  /** The ticks of cron so far, the newest first. */
  async ticks() {
    const database = await this.mf.getD1Database("DB");
    return (await database.prepare("SELECT * FROM cron_ticks ORDER BY id DESC").all()).results;
  }
  /** Cron's trigger when every heartbeat is late; waits until what it put on the queue is done. */
  async tick() {
    const database = await this.mf.getD1Database("DB");
    await database.prepare("UPDATE bots SET heartbeat_at = 0, ticked_at = 0").run();
    await this.cron();
    await this.consumed();
  }
  /** Waits until what cron put on the queue is done. */
  consumed() {
    return until(async () => (await this.ticks()).every(({ queued, consumed }) => consumed >= queued), "the queue is empty");
  }
  /** A batch of a queue, as the runtime hands it out; what became of it. */
  async queue(name, messages) {
    const worker = await this.mf.getWorker();
    return worker.queue(name, messages.map((body, i) => ({ id: `${i}`, timestamp: new Date(), attempts: 1, body })));
  }
  async bots() {
    const database = await this.mf.getD1Database("DB");
    return (await database.prepare("SELECT * FROM bots ORDER BY user_id").all()).results;
  }
}
