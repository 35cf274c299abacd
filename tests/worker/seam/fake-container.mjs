// Stands in for `ctx.container` with the same members. It answers as a supervisor would: status on 8081,
// an echoing bot on 8080.
export class FakeContainer {
  behaviour = {
    startThrows: null, // a message: start() throws it
    phase: "ready", // what the supervisor reports
    listens: true, // false: nothing answers on any port
    lingers: false, // true: SIGTERM does not end it yet
    crashLoop: null,
    backup: null,
    idleMs: 0, // what the supervisor says about activity
    cpuMs: null, // what it says of the processor
    openRequests: 0,
    quiesce: { answer: "ready" }, // what it says to being put to sleep
    after: {}, // what an order to the supervisor changes of all this, by its path
    refusal: null, // how it refuses whatever changes something
    snapshots: [], // what it reads in the repository
    files: {}, // bytes of a snapshot's files, by path
    endings: [], // the last ends of gateways, oldest first
    config: { mine: 0 }, // the gateway's config; a patch with `foo` is refused
    shown: null, // what is said of it in the place of that
    channels: { channels: [] }, // what its gateway says of them
    follows: false, // true: who follows the log is told event after event
    processes: [], // what runs in it
    devices: { pending: [], paired: [] }, // what its gateway says of devices
    outlived: 0, // processes that outlived a gateway of this run
    uses: {}, // what it says of memory, disk, processor and probes
    endings: [], // the last ends of its gateway
    uptimeMs: 1, // since when it runs
    readyForMs: null, // how long the gateway has been ready
    ingressRefuses: null, // the code of what the ingress says in the gateway's place
    refuses: false, // true: the ingress port does not answer although the supervisor does
    older: false, // true: its supervisor knows no ingress secret
    says: null, // how the supervisor misspeaks about its status
    holds: false, // true: the bot takes its time
    answersFrom: null, // where a server listens that answers in the place of the ingress, byte for byte
  };
  starts = [];
  signals = [];
  kills = 0;
  orders = [];
  bodies = [];
  served = [];
  nextEvent = Promise.withResolvers();
  running = false;
  held = 0;
  #waiting = [];

  start(options) {
    if (this.behaviour.startThrows) throw new Error(this.behaviour.startThrows);
    if (this.running) throw new Error("start() cannot be called on a container that is already running.");
    // Own enumerable properties are what workerd reads of `env`.
    this.starts.push({ ...options, env: { ...options.env } });
    this.running = true;
  }
  // A promise of its own for each caller: one made for an object that was evicted cannot be awaited by the next.
  monitor() {
    if (!this.running) throw new Error("monitor() cannot be called on a container that is not running.");
    const waiting = Promise.withResolvers();
    this.#waiting.push(waiting);
    return waiting.promise;
  }
  async destroy() {
    this.kills += 1;
    this.#end();
  }
  signal(number) {
    this.signals.push(number);
    if (number === 15 && !this.behaviour.lingers) this.#end();
  }
  die() {
    this.running = false;
    const exit = new Error("container exited with unexpected exit code: 137");
    for (const waiting of this.#waiting.splice(0)) waiting.reject(exit);
  }
  /** Somebody else has stopped it, and it has ended well. */
  shutDown() {
    this.#end();
  }
  #end() {
    this.running = false;
    for (const waiting of this.#waiting.splice(0)) waiting.resolve();
  }
  getTcpPort(port) {
    return { fetch: (request, init) => this.#fetch(port, new Request(request, init)) };
  }
  record() {
    const { starts, signals, kills, orders, bodies, running, served, held } = this;
    return { starts, signals, kills, orders, bodies, running, served, held };
  }

  async #fetch(port, request) {
    if (!this.running) throw new Error("The container is not running, consider calling start()");
    if (!this.behaviour.listens) throw new Error("connect(): Connection refused");
    return port === 8081 ? this.#supervisor(request) : this.#bot(request);
  }

  async #supervisor(request) {
    const env = this.starts.at(-1).env;
    if (request.headers.get("authorization") !== `Bearer ${env.MOLTBOT_CONTROL_TOKEN}`) {
      return new Response("no", { status: 401 });
    }
    const { pathname, search } = new URL(request.url);
    if (pathname !== "/v1/status") this.orders.push(`${request.method} ${pathname}${search}`);
    const body = await request.text();
    if (body) this.bodies.push([pathname, JSON.parse(body)]);
    if (this.behaviour.refusal && request.method === "POST") return Response.json(this.behaviour.refusal, this.behaviour.refusal);
    Object.assign(this.behaviour, this.behaviour.after[pathname]);
    if (pathname === "/v1/quiesce") return Response.json(this.behaviour.quiesce);
    if (this.behaviour.oldSupervisor && /config|channels|devices/.test(pathname)) return Response.json({ code: "not-found" }, { status: 404 });
    if (this.behaviour.follows && search.endsWith("&follow=1")) return this.#events();
    if (pathname === "/v1/logs") return new Response(`the last ${search.replace("?lines=", "")} lines`);
    if (pathname === "/v1/processes") return Response.json(this.behaviour.processes);
    if (pathname === "/v1/channels" && this.behaviour.channels === null) return Response.json({ code: "gateway-unavailable" }, { status: 503 });
    if (pathname === "/v1/channels") return Response.json(this.behaviour.channels);
    if (pathname === "/v1/config") return this.#config(request.method, body);
    if (pathname.startsWith("/v1/devices")) return this.#devices(pathname, body);
    if (pathname.startsWith("/v1/snapshots")) return this.#snapshots(request.method, pathname, search);
    const misspoken = misspeak(this.behaviour.says);
    if (misspoken) return misspoken;
    return Response.json({
      ...(this.behaviour.says === "more" && { a_newer_field: { of: ["any", "form"] } }),
      user: env.MOLTBOT_USER_ID,
      run: Number(env.MOLTBOT_RUN),
      supervisor_version: "fake",
      ...this.behaviour.uses,
      uptime_ms: this.behaviour.uptimeMs,
      endings: this.behaviour.endings,
      phase: this.behaviour.phase,
      gateway_pid: 7,
      start: { tcp_ms: 1, ready_ms: 2 },
      restarts: 0,
      outlived: this.behaviour.outlived,
      endings: this.behaviour.endings,
      last_exit: null,
      crash_loop: this.behaviour.crashLoop,
      backup: this.behaviour.backup,
      ready_for_ms: this.behaviour.readyForMs,
      idle_ms: this.behaviour.idleMs,
      cpu_ms: this.behaviour.cpuMs ?? this.behaviour.uses.cpu_ms ?? null,
      open: { requests: this.behaviour.openRequests, upgrades: 1 },
    });
  }

  #config(method, body) {
    const before = JSON.stringify(this.behaviour.config);
    const shown = () => this.behaviour.shown ?? { config: JSON.stringify(this.behaviour.config), digest: digest(this.behaviour.config) };
    if (method === "GET") return Response.json(shown());
    const sent = JSON.parse(body);
    const patch = method === "PUT" ? sent : sent.patch;
    if (sent.digest && sent.digest !== digest(this.behaviour.config)) return Response.json({ code: "config-changed" }, { status: 409 });
    if ("foo" in patch) return Response.json({ code: "config-refused", detail: 'Unrecognized key: "foo"' }, { status: 422 });
    this.behaviour.config = method === "PUT" ? sent : { ...this.behaviour.config, ...patch };
    return Response.json({ before, now: shown(), paths: Object.keys(patch) });
  }

  #devices(pathname, body) {
    const { devices } = this.behaviour;
    if (pathname === "/v1/devices") return Response.json(devices);
    const { id } = JSON.parse(body);
    const list = pathname.endsWith("/revoke") ? "paired" : "pending";
    const taken = devices[list].find((device) => device.id === id);
    if (!taken) return Response.json({ code: "no-such-entry", detail: "unknown id" }, { status: 404 });
    devices[list] = devices[list].filter((device) => device !== taken);
    if (pathname.endsWith("/approve")) devices.paired.push(taken);
    return Response.json(devices);
  }

  #snapshots(method, pathname, search) {
    const { snapshots, files } = this.behaviour;
    if (pathname === "/v1/snapshots") return Response.json(snapshots);
    const asked = Object.fromEntries(search.slice(1).split("&").map((pair) => pair.split("=")));
    // A path that is no text stays as it came.
    const path = /%[89A-F]/i.test(asked.path) && !isText(asked.path) ? asked.path : decodeURIComponent(asked.path);
    if (pathname.endsWith("/files")) return Response.json([{ name: `in ${path}`, kind: "file", bytes: 1, modified_at: null }]);
    if (path in files && pathname.endsWith("/archive")) return new Response(breaksOff(files[path]));
    if (path in files) return part(files[path], method, asked);
    return Response.json({ code: "no-such-path", detail: "the snapshot has nothing of that name" }, { status: 404 });
  }

  // The next event is made only when the test has seen the one before: nothing on the way may hold any back.
  #events() {
    const encoder = new TextEncoder();
    const { readable, writable } = new TransformStream();
    const write = async () => {
      const writer = writable.getWriter();
      for (let number = 1; number <= 5; number += 1) {
        await writer.write(encoder.encode(`data: ${number}\n\n`));
        await this.nextEvent.promise;
        this.nextEvent = Promise.withResolvers();
      }
      await writer.close();
    };
    write();
    return new Response(readable, { headers: { "content-type": "text/event-stream" } });
  }

  async #bot(request) {
    if (this.behaviour.refuses) throw new Error("connect(): Connection refused");
    const code = this.behaviour.phase === "crash-looped" ? "bot-crash-looped" : this.behaviour.ingressRefuses;
    if (code) {
      return Response.json({ code }, { status: 503, headers: { "x-moltbot-refusal": code } });
    }
    // As the ingress does: none of it goes on, and without the secret of its run nothing does.
    const secret = this.starts.at(-1)?.env.MOLTBOT_INGRESS_SECRET;
    if (secret && !this.behaviour.older && request.headers.get("x-moltbot-ingress-secret") !== secret) {
      const refused = "ingress-secret-required";
      return Response.json({ code: refused }, { status: 401, headers: { "x-moltbot-refusal": refused } });
    }
    const url = new URL(request.url);
    // Over a real socket: an answer made by `new Response` could not be as odd as a container's.
    const { answersFrom } = this.behaviour;
    if (answersFrom) return fetch(new URL(url.pathname, answersFrom), new Request(request, { redirect: "manual" }));
    request.headers.delete("x-moltbot-ingress-secret");
    const headers = [...request.headers];
    this.served.push({ method: request.method, url: request.url, headers });
    if (request.headers.get("upgrade") === "websocket") return echoSocket();
    this.held += this.behaviour.holds ? 1 : 0;
    while (this.behaviour.holds) await new Promise((resolve) => setTimeout(resolve, 20));
    switch (url.pathname) {
      case "/endless":
        return new Response(endless());
      case "/body":
        return new Response(request.body, { headers: { "x-length": request.headers.get("content-length") ?? "none" } });
      case "/events":
        return this.#events();
      case "/redirect":
        return new Response(null, { status: 302, headers: { location: "https://elsewhere.example/" } });
      case "/not-modified":
        return new Response(null, { status: 304, headers: { etag: '"x"' } });
      case "/numbered":
        // As the ingress does.
        return new Response("", { headers: { "x-request-id": request.headers.get("x-request-id"), etag: '"x"' } });
      case "/forge": {
        const forged = new Headers({ "x-request-id": "forged", "x-moltbot-state": "x", "clear-site-data": '"*"', "x-fine": "1" });
        forged.append("set-cookie", "__Host-moltbot-session=evil; Path=/; Secure");
        forged.append("set-cookie", "theme=dark");
        forged.append("set-cookie", "tone=low");
        return new Response("forged", { status: 201, headers: forged });
      }
      default:
        return Response.json({ method: request.method, url: request.url, headers: Object.fromEntries(headers) });
    }
  }
}

/** As long as one. */
function digest(config) {
  return [...JSON.stringify(config)].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 1e9, 7).toString(16).padStart(64, "0");
}

function isText(encoded) {
  try {
    return decodeURIComponent(encoded) !== undefined;
  } catch {
    return false;
  }
}

/** A file, or the one range of it that the tests ask for. */
function part(bytes, method, { range, if_range: tag }) {
  const headers = { "content-type": "text/html", etag: `"${"e".repeat(64)}"` };
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(decodeURIComponent(range ?? "")) ?? [];
  if (method === "HEAD") return new Response(null, { headers: { ...headers, "content-length": bytes.length } });
  if (first === undefined || (tag && decodeURIComponent(tag) !== headers.etag)) return new Response(bytes, { headers });
  if (Number(first) >= bytes.length) {
    return Response.json({ code: "bad-range" }, { status: 416, headers: { "content-range": `bytes */${bytes.length}` } });
  }
  const some = bytes.slice(Number(first), Number(last) + 1);
  return new Response(some, { status: 206, headers: { ...headers, "content-range": `bytes ${first}-${last}/${bytes.length}` } });
}

/** A body that ends in an error behind these bytes, if there are some. */
function breaksOff(bytes) {
  const encoder = new TextEncoder();
  let sent = false;
  return new ReadableStream({
    pull(controller) {
      if (sent && bytes.startsWith("broken")) return controller.error(new Error("it broke off"));
      if (sent) return controller.close();
      sent = true;
      controller.enqueue(encoder.encode(bytes));
    },
  });
}

/** A body that goes on for as long as somebody reads it. */
function endless() {
  return new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(4096).fill(32)) });
}

/** What a stranger says in the place of a status. */
function misspeak(how) {
  switch (how) {
    case "endless":
      return new Response(endless());
    case "huge":
      return new Response(JSON.stringify({ padding: "x".repeat(1 << 20) }));
    case "no json":
      return new Response("\u0000\ufffd{");
    case "[[[[":
      return new Response("[".repeat(100_000));
    case "deep":
      return new Response(`{"run":${"[".repeat(1000)}${"]".repeat(1000)}}`);
    case "nothing":
      return new Response(null, { status: 204 });
    default:
      return null;
  }
}

function echoSocket() {
  const [theirs, ours] = Object.values(new WebSocketPair());
  ours.binaryType = "arraybuffer";
  ours.accept();
  ours.addEventListener("message", ({ data }) => ours.send(data));
  ours.addEventListener("close", ({ code }) => ours.close(code === 1005 ? 1000 : code, "echoed"));
  return new Response(null, { status: 101, webSocket: theirs });
}

