// Runs in workerd: the built Worker as it is, with bindings that one process can have. The limits count in memory, as a
// real one does on the machine that serves the request. The database and the bucket know one user and no objects, and
// count what they are asked: a warm request asks them nothing.
import Product, { Sandbox as Built } from "../../build/index.js";
import { FakeContainer } from "../../tests/worker/seam/fake-container.mjs";
import { give } from "./container.mjs";

const INGRESS_PORT = 8080;

/** Operations so far that are billed, by what they are of. */
export const operations = { d1: 0, r2: 0, storage: 0 };

// The classes below have the names of the runtime's: by those the Worker knows what it was given.
class Ratelimit {
  #counts = new Map();

  async limit({ key }) {
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    return { success: count < 1e9 };
  }
}

class D1PreparedStatement {
  constructor(query) {
    this.query = query;
  }
  bind() {
    return this;
  }
  async first() {
    return this.#rows()[0] ?? null;
  }
  async all() {
    return { success: true, results: this.#rows(), meta: {} };
  }
  async run() {
    return this.all();
  }
  #rows() {
    operations.d1 += 1;
    const asksForUser = this.query.includes("FROM users");
    return asksForUser ? [{ email: "somebody@example.com", role: "user", status: "active", seen_at: Date.now() }] : [];
  }
}

class D1Database {
  prepare(query) {
    return new D1PreparedStatement(query);
  }
}

class R2Bucket {
  async head() {
    operations.r2 += 1;
    return null;
  }
  async get() {
    operations.r2 += 1;
    return null;
  }
  async list() {
    operations.r2 += 1;
    return { objects: [], delimitedPrefixes: [], truncated: false };
  }
}

let bindings;
/** What the process was configured with, and these. */
function whole(env) {
  bindings ??= {
    ...env,
    DB: new D1Database(),
    BUCKET: new R2Bucket(),
    ADDRESS_LIMIT: new Ratelimit(),
    USER_LIMIT: new Ratelimit(),
    SIGN_IN_LIMIT: new Ratelimit(),
  };
  return bindings;
}

/** Answers as a supervisor does; what goes to the bot goes to the server on loopback. */
class Container extends FakeContainer {
  constructor(upstream) {
    super();
    this.upstream = upstream;
  }
  getTcpPort(port) {
    return port === INGRESS_PORT ? this.upstream : super.getTcpPort(port);
  }
}

/** Counts every call of these, of what they have and of what they give. */
function counted(target) {
  return new Proxy(target, {
    get(_, member) {
      const value = Reflect.get(target, member);
      if (typeof value === "object" && value !== null) return counted(value);
      if (typeof value !== "function") return value;
      return (...given) => {
        operations.storage += 1;
        return value.apply(target, given);
      };
    },
  });
}

export class Sandbox extends Built {
  constructor(ctx, env) {
    // Only where calls are counted, and not where time is.
    if (env.COUNTED) Object.defineProperty(ctx, "storage", { value: counted(ctx.storage) });
    super(give(ctx, new Container(env.UPSTREAM)), whole(env));
  }
}

export default class extends Product {
  constructor(ctx, env) {
    super(ctx, whole(env));
  }
}
