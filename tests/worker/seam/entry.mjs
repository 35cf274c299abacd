// The test seam: the built Worker as it is, with an object class that gives the built Sandbox a `ctx` whose
// container is a fake. Real wasm, real workerd, real storage; no hook in the product.
import { DurableObject } from "cloudflare:workers";
import { wasmBytes, wasmInstances } from "./wasm-memory.mjs";
import Product, { Sandbox as Built } from "./index.js";
import { FakeContainer } from "./fake-container.mjs";
import { dataset, meter, metered, points } from "./meter.mjs";

const fakes = new Map();
/** Sandboxes that do not answer when cron looks at them. */
const hanging = new Set();
/** Every question any Sandbox was asked, by whom it belongs to. */
const asked = [];
/** By how much the Worker's clock is ahead of this machine's. */
let aheadMs = 0;
/** Whether the next call of the Worker's for the time ends its instance. */
let trapIsSet = false;
const MachineDate = Date;
globalThis.Date = class extends MachineDate {
  constructor(...given) {
    super(...(given.length > 0 ? given : [MachineDate.now() + aheadMs]));
  }
  static now() {
    // As a trap: what ends an instance of wasm for good comes out of it as this error.
    if (trapIsSet) {
      trapIsSet = false;
      throw new WebAssembly.RuntimeError("unreachable");
    }
    return MachineDate.now() + aheadMs;
  }
};

/** How much sooner than it says a deadline of a fetch comes. */
let hurry = 1;
const timeout = AbortSignal.timeout.bind(AbortSignal);
AbortSignal.timeout = (ms) => timeout(ms / hurry);

/** What stands in for a host of the Internet, by its name. */
const standIns = new Map();
const machineFetch = globalThis.fetch;
globalThis.fetch = (request, init) => {
  const url = new URL(request.url ?? request);
  const standIn = standIns.get(url.host);
  return machineFetch(standIn ? new Request(standIn + url.pathname, request) : request, init);
};

export class Sandbox extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    const name = ctx.id.name;
    if (!fakes.has(name)) fakes.set(name, new FakeContainer());
    const fake = fakes.get(name);
    const seam = new Proxy(ctx, {
      get(target, member) {
        if (member === "container") return fake;
        const value = Reflect.get(target, member);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    this.built = new Built(seam, metered(env));
  }
  async fetch(request) {
    if (request.headers.has("x-test-abort")) this.ctx.abort("evicted by a test");
    // Time cannot be made to pass here: what a record says of it can.
    if (request.headers.has("x-test-sql")) {
      return Response.json(this.ctx.storage.sql.exec(request.headers.get("x-test-sql")).toArray());
    }
    // Rings the alarm if one is set, without the wait.
    if (request.headers.has("x-test-alarm")) {
      if ((await this.ctx.storage.getAlarm()) === null) return new Response("no alarm is set", { status: 409 });
      await this.built.alarm();
      return new Response();
    }
    // A command travels beside a request that goes on to the bot, any other is the whole body.
    const command = request.headers.get("x-moltbot-command") ?? (await request.clone().text());
    asked.push([this.ctx.id.name, JSON.parse(command)]);
    while (command === '"poll"' && hanging.has(this.ctx.id.name)) await scheduler.wait(20);
    return this.built.fetch(request);
  }
  alarm() {
    return this.built.alarm();
  }
}

export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    if (url.hostname === "fake.test") return control(url, request, env);
    return new Product(ctx, metered(env)).fetch(request.headers.has("x-test-no-length") ? withoutLength(request) : request);
  },
  async scheduled(event, env, ctx) {
    return new Product(ctx, metered(env)).scheduled(event);
  },
  async queue(batch, env, ctx) {
    return new Product(ctx, metered(env)).queue(batch);
  },
};

/** As a runtime could hand on what came by HTTP/2: no header says how long the body is, or that there is one. */
function withoutLength(request) {
  const headers = new Headers(request.headers);
  for (const name of ["content-length", "transfer-encoding", "x-test-no-length"]) headers.delete(name);
  return new Request(request.url, { method: request.method, headers, body: request.body });
}

// What the tests on the other side of the process see and steer: http://fake.test/<user>/<verb>
async function control(url, request, env) {
  const [, user, verb] = url.pathname.split("/");
  const name = `openclaw-${user}`;
  const fake = fakes.get(name) ?? new FakeContainer();
  fakes.set(name, fake);
  switch (verb) {
    case "asked":
      return Response.json(asked);
    case "clock":
      aheadMs = Number(url.searchParams.get("ahead"));
      return new Response();
    case "stand-in":
      standIns.set(url.searchParams.get("host"), url.searchParams.get("for"));
      return new Response();
    case "hurry":
      hurry = Number(url.searchParams.get("times"));
      return new Response();
    case "instances":
      return Response.json(wasmInstances());
    case "trap":
      trapIsSet = true;
      return new Response();
    case "wasm-bytes":
      return Response.json(wasmBytes());
    case "hang":
      hanging[url.searchParams.has("on") ? "add" : "delete"](name);
      return new Response();
    case "meter":
      return Response.json(meter);
    case "points":
      dataset.fails = url.searchParams.has("fail");
      return Response.json(points);
    case "record":
      return Response.json(fake.record());
    case "set":
      Object.assign(fake.behaviour, await request.json());
      return new Response();
    case "die":
      fake.die();
      return new Response();
    case "shut-down":
      fake.shutDown();
      return new Response();
    case "vanish":
      fake.running = false; // and nobody is told
      return new Response();
    case "next-event":
      fake.nextEvent.resolve();
      return new Response();
    case "alarm":
      return env.SANDBOX.get(env.SANDBOX.idFromName(name)).fetch("http://sandbox/", {
        headers: { "x-test-alarm": "1" },
      });
    case "sql":
      return env.SANDBOX.get(env.SANDBOX.idFromName(name)).fetch("http://sandbox/", {
        headers: { "x-test-sql": await request.json() },
      });
    case "evict": {
      // Throws the object out of memory, as the platform does; its storage stays.
      await env.SANDBOX.get(env.SANDBOX.idFromName(name)).fetch("http://sandbox/", {
        headers: { "x-test-abort": "1" },
      }).catch(() => {});
      return new Response();
    }
    case "command":
      return env.SANDBOX.get(env.SANDBOX.idFromName(name)).fetch("http://sandbox/", {
        method: "POST",
        body: JSON.stringify(await request.json()),
      });
    default:
      return new Response("no such verb", { status: 404 });
  }
}
