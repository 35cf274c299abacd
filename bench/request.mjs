// Measures what the Worker and the Sandbox cost beside the least that does the same: a warm GET of 1 kB with an access
// token that was seen before, through Worker, Sandbox and the container's ingress port, against the smallest JavaScript
// Worker on the same way (bench/bare/worker.mjs). Both run in workerd itself and not in miniflare, each in a process of
// its own, with the same requests, the same `cf` object and the same server on loopback in the bot's place, which is a
// third process. What is counted is the CPU time of workerd's process, all its threads, and not time on a clock: that
// holds still in workerd, and on a machine with other work it says little.
//
// The two take turns, so that what the machine does meanwhile meets both, and each pair of rounds gives one ratio. Then,
// in another process where nothing is timed, it counts calls across the border between wasm and JavaScript, and
// operations that are billed.
import { spawn } from "node:child_process";
import { Agent, request as httpRequest } from "node:http";
import { createInterface } from "node:readline";
import { once } from "node:events";
import { ALICE, BACKUP_KEY, HOST, ORIGIN } from "../tests/worker/harness.mjs";
import { startProvider } from "../tests/worker/provider.mjs";
import { SESSION_KEY } from "../tests/worker/sealed.mjs";
import { profile } from "./request/profile.mjs";
import { CF_HEADER, cpuMicroseconds, startWorkerd } from "./request/workerd.mjs";

const BYTES = 1_024;
const AT_ONCE = 8;
// Until V8 has compiled everything for good, which it does beside the requests and on the same account.
const WARM_UP = 6_000;
// Short rounds and many of them: what else the machine does then meets both sides of a pair.
const REQUESTS = 500;
const ROUNDS = 80;
const COUNTED = 1_000;
const PROFILED = 4_000;
const AIM = 1.35;
const OPERATIONS = { d1: "operations of D1", r2: "operations of R2", storage: "operations of the object's storage" };
// So many names of calls are listed.
const NAMES = 12;

// As Cloudflare fills it, in about its length.
const CF = {
  asn: 3320, asOrganization: "Deutsche Telekom AG", clientAcceptEncoding: "gzip, deflate, br, zstd", clientTcpRtt: 14,
  colo: "FRA", continent: "EU", country: "DE", city: "Berlin", edgeRequestKeepAliveStatus: 1, httpProtocol: "HTTP/2",
  isEUCountry: "1", latitude: "52.52437", longitude: "13.41053", postalCode: "10178", region: "Land Berlin",
  regionCode: "BE", requestPriority: "weight=256;exclusive=1", timezone: "Europe/Berlin", tlsCipher: "AEAD-AES128-GCM-SHA256",
  tlsVersion: "TLSv1.3", tlsClientHelloLength: "1794", tlsClientRandom: "4uYbVJmYh4x5S0kNQqPp2bM7oN1cVtq9qjXyZr3F0aE=",
  tlsClientExtensionsSha1: "1Vb6nXSpoXvQ9d2fH0mKc4LrTqY=", tlsClientCiphersSha1: "kXrN3VEKDdzz2cPKTQaKzpxVTxQ=",
  tlsClientAuth: { certIssuerDN: "", certPresented: "0", certRevoked: "0", certVerified: "NONE" },
  verifiedBotCategory: "", botManagement: { corporateProxy: false, verifiedBot: false, score: 99, staticResource: false },
};

// What a program sends through Cloudflare's front, less the token.
const HEADERS = {
  host: HOST,
  accept: "*/*",
  "accept-encoding": "gzip, br",
  "user-agent": "curl/8.14.1",
  "cf-connecting-ip": "203.0.113.9",
  "cf-ipcountry": "DE",
  "cf-ray": "9a41d6c0fbf2d2d1-FRA",
  "cf-visitor": '{"scheme":"https"}',
  "cdn-loop": "cloudflare; loops=1",
  "x-forwarded-for": "203.0.113.9",
  "x-forwarded-proto": "https",
  [CF_HEADER]: JSON.stringify(CF),
};

const BARE = ["bench/bare/entry.mjs", "bench/bare/worker.mjs", "bench/request/container.mjs"];
const OURS = [
  "bench/request/ours.mjs",
  "bench/request/container.mjs",
  "build/index.js",
  "build/index_bg.wasm",
  "build/openapi.txt",
  "tests/worker/seam/fake-container.mjs",
];
const COUNTING = ["bench/request/counted.mjs", "bench/request/calls.mjs", ...OURS];

class Side {
  constructor({ pid, port, inspector }, headers) {
    this.pid = pid;
    this.inspector = inspector;
    this.headers = headers;
    this.agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
    this.address = { hostname: "127.0.0.1", port, path: "/assets/chat.js?v=2026.9.6", agent: this.agent };
    this.costs = [];
  }
  /** Status and body of one request. */
  async ask(headers = this.headers) {
    const request = httpRequest({ ...this.address, headers });
    request.end();
    const [answer] = await once(request, "response");
    let [bytes, text] = [0, ""];
    answer.setEncoding("latin1").on("data", (data) => {
      bytes += data.length;
      if (answer.statusCode !== 200 || headers !== this.headers) text += data;
    });
    await once(answer, "end");
    return { status: answer.statusCode, bytes, text };
  }
  /** So many requests, some at once; all of them have to be answered as they should. */
  async askMany(count) {
    let left = count;
    const one = async () => {
      while (left > 0) {
        left -= 1;
        const { status, bytes, text } = await this.ask();
        if (status !== 200 || bytes !== BYTES) throw new Error(`answered ${status} with ${bytes} bytes: ${text}`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
  }
  async round() {
    const begun = cpuMicroseconds(this.pid);
    await this.askMany(REQUESTS);
    this.costs.push((cpuMicroseconds(this.pid) - begun) / REQUESTS);
  }
}

const endings = [];
try {
  const t = { after: (ending) => endings.push(ending) };
  const provider = await startProvider(t);
  const upstream = await startUpstream(t);
  const authorization = `Bearer ${provider.token({ sub: ALICE })}`;
  const bindings = {
    PUBLIC_URL: ORIGIN,
    SUPABASE_URL: provider.url,
    SUPABASE_ANON_KEY: "anon-key",
    SESSION_KEY: SESSION_KEY.toString("base64"),
    BACKUP_KEY,
  };
  const side = async (options) => new Side(await startWorkerd(t, { upstream, ...options }), { ...HEADERS, authorization });
  const bare = await side({ modules: BARE });
  const ours = await side({ modules: OURS, bindings });

  await check(bare, { needsToken: false });
  await check(ours, { needsToken: true });
  for (const one of [bare, ours]) await one.askMany(WARM_UP);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const one of round % 2 ? [ours, bare] : [bare, ours]) await one.round();
  }
  printCosts(bare, ours);

  const counting = await side({ modules: COUNTING, bindings: { ...bindings, COUNTED: "1" } });
  await check(counting, { needsToken: true });
  await counting.askMany(COUNTED);
  const before = await counts(counting);
  // Its start wrote to both: if that was not seen, nothing is counted.
  const { d1, storage } = before.operations;
  if (!(d1 && storage)) throw new Error(`counted ${d1} of D1 and ${storage} of storage for a start`);
  await counting.askMany(COUNTED);
  printCounts(before, await counts(counting));

  console.log(`\nmicroseconds of one request by V8's profiler, ${PROFILED} of them, without what a function calls`);
  for (const [name, options] of [["the smallest JavaScript Worker", { modules: BARE }], ["ours", { modules: OURS, bindings }]]) {
    const one = await side({ ...options, inspected: true });
    await one.askMany(WARM_UP);
    printProfile(name, await profile(one.inspector, () => one.askMany(PROFILED)));
  }
} finally {
  for (const ending of endings.reverse()) await ending();
}

async function startUpstream(t) {
  const program = new URL("request/upstream.mjs", import.meta.url).pathname;
  const child = spawn(process.execPath, [program, String(BYTES)], { stdio: ["pipe", "pipe", "inherit"] });
  t.after(() => child.stdin.end());
  const [port] = await once(createInterface({ input: child.stdout }), "line");
  return port;
}

/** That it is the way that is meant which is measured; the first request wakes the bot. */
async function check(side, { needsToken }) {
  const { authorization, ...anonymous } = side.headers;
  const refused = await side.ask(anonymous);
  if ((refused.status === 401) !== needsToken) throw new Error(`without a token: ${refused.status} ${refused.text}`);
  for (let i = 0; i < 2 * AT_ONCE; i += 1) {
    const { status, bytes, text } = await side.ask();
    if (status !== 200 || bytes !== BYTES) throw new Error(`with a token: ${status}, ${bytes} bytes: ${text}`);
  }
}

function printCosts(bare, ours) {
  const ratios = ours.costs.map((cost, round) => cost / bare.costs[round]);
  console.log(`\na warm GET of 1 kB, CPU microseconds of workerd's process; ${ROUNDS} rounds of ${REQUESTS} each, in turns`);
  cells("", ["median", "quartile", "quartile"]);
  const whole = (values) => quartiles(values).map((cost) => cost.toFixed(0));
  cells("the smallest JavaScript Worker", whole(bare.costs));
  cells("ours", whole(ours.costs));
  cells("ours against it, by pairs of rounds", quartiles(ratios).map((ratio) => `× ${ratio.toFixed(2)}`), `aim: at most × ${AIM}`);
}

function printProfile(name, functions) {
  const busy = functions.filter(([one]) => one !== "(idle)");
  const each = ([one, time]) => `${one} ${(time / PROFILED).toFixed(1)}`;
  cells(name, [(busy.reduce((sum, [, time]) => sum + time, 0) / PROFILED).toFixed(0)]);
  console.log(`    ${busy.slice(0, NAMES).map(each).join(", ")}`);
}

/** The median, and where the lower and the upper quarter end: the extremes are the machine's. */
function quartiles(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return [0.5, 0.25, 0.75].map((share) => sorted[Math.floor(sorted.length * share)]);
}

function cells(name, values, remark = "") {
  console.log(`  ${name.padEnd(36)} ${values.map((value) => value.padStart(8)).join(" ")}   ${remark}`.trimEnd());
}

/** What was counted so far. */
async function counts(side) {
  const { status, text } = await side.ask({ ...side.headers, "x-bench-counts": "1" });
  if (status !== 200) throw new Error(`no counts: ${status} ${text}`);
  return JSON.parse(text);
}

function printCounts(before, after) {
  const since = (kind) => {
    const all = Object.entries(after[kind]).map(([name, count]) => [name, count - before[kind][name]]);
    return all.filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a);
  };
  console.log("\ncalls in one such request");
  for (const [kind, name] of [["out", "from wasm into JavaScript"], ["in", "from JavaScript into wasm"]]) {
    const called = since(kind);
    const sum = called.reduce((total, [, count]) => total + count, 0);
    cells(name, [(sum / COUNTED).toFixed(1)]);
    const most = called.slice(0, NAMES).map(([one, count]) => `${one} ${(count / COUNTED).toFixed(1)}`);
    console.log(`    ${most.join(", ")}${called.length > NAMES ? ", …" : ""}`);
  }
  console.log(`\nbilled for ${COUNTED} of them, beside ${COUNTED} requests to the Worker and as many to Sandboxes; aim: nothing`);
  for (const [kind, name] of Object.entries(OPERATIONS)) {
    cells(name, [String(after.operations[kind] - before.operations[kind])]);
  }
}
