// Alerts at the real Alertmanager, read back by its own API.
import test from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MINUTE, bot, start } from "./alerts.mjs";
import { until } from "../until.mjs";
import { freePort } from "../free-port.mjs";

const program = process.env.ALERTMANAGER_BIN ?? "prometheus-alertmanager";

/** One on a port of its own, which remembers nothing of an earlier one. */
async function startAlertmanager(t, port) {
  const dir = await mkdtemp(join(tmpdir(), "moltworker-alertmanager-"));
  await writeFile(join(dir, "config.yml"), "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n");
  const child = spawn(program, [
    `--config.file=${dir}/config.yml`, `--storage.path=${dir}/data`, `--web.listen-address=127.0.0.1:${port}`,
    "--cluster.listen-address=", "--log.level=warn",
  ], { stdio: "inherit" });
  const ended = once(child, "exit");
  const stop = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  t.after(async () => {
    await stop();
    await rm(dir, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${port}`;
  await until(() => fetch(`${url}/-/ready`).then(({ ok }) => ok, () => false), "Alertmanager is ready");
  return {
    url, stop,
    /** What fires there. */
    alerts: async () => {
      const alerts = await (await fetch(`${url}/api/v2/alerts`)).json();
      return alerts.map(({ labels, status }) => [labels.alertname, labels.severity, labels.subject, status.state]);
    },
  };
}

test("the real Alertmanager fires while an incident goes on, and no longer", async (t) => {
  const port = await freePort();
  const alertmanager = await startAlertmanager(t, port);
  const { worker, sink, wrong, well } = await start(t, { hosts: `127.0.0.1:${port}` });
  await sink("am", { kind: "alertmanager", url: alertmanager.url });
  // The program has the machine's time, so the Worker does as well.
  const rules = [{ rule: "repository-damaged", closes_after_s: 0 }, { rule: "cron-late", off: true }];
  await worker.asAdmin("POST", "/api/admin/alerts/settings", { rules });
  await wrong(1, { incidents: ["repository-damaged"] });
  await worker.cron();
  const fires = [["repository-damaged", "critical", bot(1), "active"]];
  await until(async () => (await alertmanager.alerts()).length > 0, "it fires");
  assert.deepEqual(await alertmanager.alerts(), fires);
  await worker.cron();
  assert.deepEqual(await alertmanager.alerts(), fires);

  await alertmanager.stop();
  const another = await startAlertmanager(t, port);
  assert.deepEqual(await another.alerts(), [], "it has forgotten");
  const [now, every] = [Date.now(), 5 * MINUTE];
  await worker.ahead(every - (now % every));
  await worker.cron();
  assert.deepEqual(await another.alerts(), fires, "and is told again");

  await worker.ahead(0);
  await well();
  await worker.cron();
  await until(async () => (await another.alerts()).length === 0, "it is over");
});
