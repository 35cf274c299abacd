// Counts what D1 bills, where a test asks for it: queries, rows read, rows written; and keeps what goes to Analytics Engine.
export const meter = { queries: 0, rowsRead: 0, rowsWritten: 0 };

function counted(answer) {
  meter.queries += 1;
  meter.rowsRead += answer.meta.rows_read;
  meter.rowsWritten += answer.meta.rows_written;
  return answer;
}

const bound = (target, member) => {
  const value = Reflect.get(target, member);
  // By its constructor's name the Worker knows what it was given.
  return typeof value === "function" && member !== "constructor" ? value.bind(target) : value;
};

function statement(target) {
  const own = {
    of: target,
    bind: (...given) => statement(target.bind(...given)),
    all: async () => counted(await target.all()),
    run: async () => counted(await target.run()),
    first: async () => counted(await target.all()).results[0] ?? null,
  };
  return new Proxy(target, { get: (_, member) => own[member] ?? bound(target, member) });
}

const database = (target) => {
  const own = {
    prepare: (sql) => statement(target.prepare(sql)),
    batch: async (statements) => (await target.batch(statements.map(({ of }) => of))).map(counted),
  };
  // By its constructor's name the Worker knows what it was given: no member of every object's stands in its place.
  return new Proxy(target, { get: (_, member) => (Object.hasOwn(own, member) ? own[member] : bound(target, member)) });
};

/** Every point that was written, and whether writing one fails. */
export const points = [];
export const dataset = { fails: false };
const recorder = {
  writeDataPoint(point) {
    if (dataset.fails) throw new Error("no dataset");
    points.push(point);
  },
};

const known = new WeakMap();
/** The environment with a database that is counted, if the test wants that. */
export function metered(env) {
  if (!env.METER) return env;
  if (!known.has(env)) {
    const own = { DB: database(env.DB), ...(env.SERIES && { SERIES: recorder }) };
    known.set(env, new Proxy(env, { get: (_, member) => (Object.hasOwn(own, member) ? own[member] : Reflect.get(env, member)) }));
  }
  return known.get(env);
}
