// A Worker with alerts: what is wrong is written into its registry, and arrives at a receiver of this machine.
import assert from "node:assert/strict";
import { ADMIN_CLAIMS, startWorker } from "./harness.mjs";
import { startReceiver } from "./receiver.mjs";

export const MINUTE = 60_000;
export const SECRET = `whsec_${Buffer.alloc(32, 3).toString("base64")}`;
export const SINKS = "/api/admin/alerts/sinks";
export const bot = (number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

export async function start(t, { bindings, answer, hosts, queue = false } = {}) {
  const receiver = await startReceiver(t, answer);
  // Without a queue a tick is over when all that it found is told.
  const worker = await startWorker(t, { without: queue ? [] : ["JOBS"], bindings: { ALERT_INTERNAL_HOSTS: `${receiver.host}, ${hosts ?? "127.0.0.1:1"}`, ...bindings } });
  // Their time goes ahead of this machine's by hours.
  const admin = { ...ADMIN_CLAIMS, exp: Math.floor(Date.now() / 1_000) + 6 * 3_600 };
  worker.asAdmin = (...call) => worker.call(admin, ...call);
  const database = await worker.database();
  let minute = 0;
  return {
    receiver, worker, database,
    /** A minute after the other, each with its tick. */
    async minutes(count) {
      for (let i = 0; i < count; i++) {
        await worker.ahead(minute++ * MINUTE);
        await worker.cron();
      }
    },
    async sink(name, document = { kind: "webhook", secret: SECRET }) {
      const set = await worker.asAdmin("POST", SINKS, { name, url: `${receiver.url}/${name}`, ...document });
      assert.equal(set.status, 200, JSON.stringify(set));
    },
    /** A row of the registry, as a Sandbox would have written it. */
    wrong: (number, { state = "asleep", awake = 0, health = "unknown", incidents = [], since = Date.now(), heartbeat = Date.now() + 1_440 * MINUTE } = {}) => database
      .prepare(
        "INSERT OR REPLACE INTO bots (user_id, state, awake, run, since, health, incidents, heartbeat_at) VALUES (?, ?, ?, 9, ?, ?, ?, ?)",
      )
      // By itself never late, so that no Sandbox is asked and says otherwise.
      .bind(bot(number), state, awake, since, health, JSON.stringify(incidents), heartbeat).run(),
    well: () => database.prepare("DELETE FROM bots").run(),
    /** How a part is from now on, whatever cron itself finds. */
    async component(name, state) {
      await database.prepare("DROP TRIGGER IF EXISTS held").run();
      await database.prepare("INSERT OR REPLACE INTO platform_health (component, state, since, reason, checked_at) VALUES (?, ?, 1, 'a test', 9e15)")
        .bind(name, state).run();
      await database.prepare("CREATE TRIGGER held BEFORE UPDATE ON platform_health WHEN old.reason = 'a test' BEGIN SELECT RAISE(IGNORE); END").run();
    },
    /** `rule kind` of what arrived at a sink, sorted by nothing. */
    told: (name = "ops") => receiver.at(`/${name}`).map(({ type, data }) => `${data.rule} ${type.split(".")[1]}`),
  };
}
