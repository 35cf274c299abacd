// One path through each page of the admin UI, in a browser, and how a fleet of ten thousand bots feels.
// SCREENSHOTS=<directory> has each page photographed, in light and dark, on a desktop and on a phone.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { until } from "../until.mjs";
import { ALICE, BOB } from "../worker/harness.mjs";
import { backup, report, store, taken } from "../worker/backups.mjs";
import { enrol, fillIn, judge, open, start } from "./admin.mjs";

const MINUTE = 60_000;
const GB = 1_000_000_000;
const FLEET = 10_000;
/** A browser draws sixty times a second; on a busy machine half of that is smooth still. */
const SMOOTH_MS = 34;
const [OLD, NEW] = ["a", "b"].map((digit) => digit.repeat(64));

/** A day of both series, and an event, an invitation and a domain to look at. */
async function furnish(worker) {
  const database = await worker.database();
  const step = Math.floor(Date.now() / (5 * MINUTE)) * 5 * MINUTE;
  const point = database.prepare("INSERT OR REPLACE INTO bot_series (step, user_id, state, health, memory, disk, cpu, latency, restarts) VALUES (?, ?, 'running', 'healthy', ?, ?, ?, ?, 0)");
  const counted = (await database.prepare("SELECT name FROM pragma_table_info('fleet_series')").all()).results.map(({ name }) => name);
  const fleet = database.prepare(`INSERT OR REPLACE INTO fleet_series (${counted.join(", ")}) VALUES (${counted.map(() => "?").join(", ")})`);
  const figures = { registered: 40, awake: 12, asleep: 28, running: 12, incidents: 1 };
  const steps = Array.from({ length: 280 }, (_, index) => index);
  await database.batch(steps.flatMap((index) => {
    const at = step - index * 5 * MINUTE;
    const wave = Math.sin(index / 20);
    const row = point.bind(at, ALICE, Math.round(GB * (1 + wave / 3)), 2 * GB, Math.round(300 + 200 * wave), Math.round(12 + 6 * wave));
    const rows = [fleet.bind(...counted.map((name) => (name === "step" ? at : Math.max(0, Math.round((figures[name] ?? 0) * (1 + wave / 4))))))];
    // It slept for two hours.
    return index > 100 && index < 124 ? rows : [row, ...rows];
  }));
  const bucket = await worker.mf.getR2Bucket("BUCKET");
  for (const id of [OLD, NEW]) await store(bucket, id);
  const now = Date.now();
  await worker.fake(ALICE, "set", {
    backup: backup({ restored: report(OLD, now - 3_600_000, { taken_at: now - 90_000_000 }), taken: [taken(NEW, now - 600_000, { reason: "manual" }), taken(OLD, now - 90_000_000)] }),
    snapshots: [taken(NEW, now - 600_000, { reason: "manual" }), taken(OLD, now - 90_000_000)],
    files: { "in ": "what was in it" },
  });
  await worker.fake(ALICE, "command", "poll");
}

test("each page of the admin UI does what it is for", async (t) => {
  const { worker, url } = await start(t);
  await furnish(worker);
  const { page, complaints } = await open(t);
  await page.goto(`${url}/admin/`);
  await fillIn(page);
  await enrol(page);
  await page.getByRole("heading", { name: "Overview" }).waitFor();

  /** Goes there without a reload, as a link would. */
  const go = async (path, heading) => {
    await page.evaluate((to) => {
      history.pushState({}, "", to);
      dispatchEvent(new PopStateEvent("popstate"));
    }, `/admin${path}`);
    await page.getByRole("heading", { name: heading, level: 1 }).waitFor();
  };
  /** Looks at the page with axe-core, in light and dark, and narrow; takes its picture where that is wanted. */
  const look = async (name) => {
    for (const [size, viewport] of [["desktop", { width: 1280, height: 860 }], ["phone", { width: 390, height: 780 }]]) {
      await page.setViewportSize(viewport);
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        await judge(page, `${name}, ${colorScheme}, ${size}`);
        const isWide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
        assert.ok(!isWide, `${name} is no wider than a ${size}`);
        if (process.env.SCREENSHOTS) await page.screenshot({ type: "jpeg", quality: 75, path: join(process.env.SCREENSHOTS, `admin-${name}-${colorScheme}-${size}.jpg`) });
      }
    }
    await page.setViewportSize({ width: 1280, height: 860 });
    await page.emulateMedia({ colorScheme: "light" });
  };
  const ask = async (path) => (await worker.fetch(path, { host: worker.address.host, headers: worker.adminBearer() })).json();
  const button = (name) => page.getByRole("button", { name });
  const inDialog = (name) => page.getByRole("dialog").getByRole("button", { name });

  await t.test("the overview has the fleet over time, and its table", async () => {
    await page.getByText("What is wrong").waitFor();
    await look("overview");
    await page.getByText("As a table").first().click();
    await page.getByRole("region", { name: "Table: Bots" }).getByRole("cell").first().waitFor();
  });

  await t.test("a bot's charts, log, costs and events are there", async () => {
    await go(`/bots/${ALICE}`, "dev-1@moltworker.test");
    await page.getByText("Running. It answers.").waitFor();
    await look("bot");
    const part = (name) => page.getByRole("navigation", { name: "Parts of this page" }).getByRole("link", { name }).click();
    await part("Charts");
    await page.getByText("Answer of the gateway to a probe").waitFor();
    await look("charts");
    await part("Log");
    await page.getByText("the last 300 lines").waitFor();
    await look("log");
    await part("Costs");
    await button("Set …").click();
    await page.getByLabel("US dollars a month").fill("5");
    await inDialog("Set the limit").click();
    await page.getByText("$5.00 a month").waitFor();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await look("costs-of-a-bot");
    await part("Events");
    await page.getByText("Changed: admin-set-limit").first().waitFor();
  });

  await t.test("a snapshot is browsed, pinned and restored over what it names", async () => {
    await page.getByRole("link", { name: "Snapshots" }).click();
    await button(/^Browse the snapshot/).first().click();
    await page.getByRole("dialog").getByText("in ", { exact: true }).waitFor();
    await look("browse");
    await inDialog("Close").click();
    await button(/^Pin the snapshot/).first().click();
    await inDialog("Pin").click();
    await page.getByText("Pinned").waitFor();
    await look("snapshots");
    await button(/^Restore the snapshot/).last().click();
    await page.getByText("What there is now is saved first").waitFor();
    await look("restore");
    await inDialog("Restore").click();
    await page.getByText("The restore was begun.").waitFor();
    const orders = (await worker.record(ALICE)).bodies.filter(([path]) => path === "/v1/restore");
    assert.deepEqual(orders.map(([, { snapshot }]) => snapshot), [OLD]);
  });

  await t.test("a user is found, gets a domain, and is suspended and let in again", async () => {
    await go("/users", "Users");
    await page.getByRole("link", { name: "dev-2@moltworker.test" }).waitFor();
    await look("users");
    await page.getByLabel("Search").fill("dev-2");
    await page.getByRole("region", { name: "Found" }).getByRole("link").click();
    await button("Add …").click();
    await page.getByLabel("Host name").fill("claw.example.org");
    await inDialog("Add").click();
    await page.getByText("claw.example.org").first().waitFor();
    await page.getByText("What has to stand in DNS").click();
    await page.getByRole("button", { name: "Copy the value of the CNAME record" }).waitFor();
    await look("user");
    await button("Suspend").click();
    await page.getByText("Activating them undoes it.").waitFor();
    await look("suspend-a-user");
    await inDialog("Suspend").click();
    await page.getByText("They are suspended.").waitFor();
    assert.equal((await ask(`/api/admin/users/${BOB}`)).status, "suspended");
    await button("Activate").click();
    await inDialog("Activate").click();
    await page.getByText("They are let in again.").waitFor();
  });

  await t.test("somebody is invited, and the invitation taken back", async () => {
    await go("/users", "Users");
    await button("Invite …").click();
    await page.getByLabel("E-mail address or user id", { exact: true }).fill("carol@example.org");
    await inDialog("Invite").click();
    await button("Take back: carol@example.org").click();
    await inDialog("Take back").click();
    await page.getByText("Nobody is invited").waitFor();
  });

  await t.test("an order to selected bots is counted first, and followed to its end", async () => {
    await go("/bots", "Bots");
    await page.getByLabel("Select dev-1@moltworker.test").check();
    await look("bots");
    await button("Order to these …").click();
    await inDialog("Dry run").click();
    await page.getByText("That concerns 1 bot").waitFor();
    await look("order");
    assert.deepEqual((await ask("/api/admin/bulk")).orders, []);
    await inDialog(/^Take snapshot: 1 bot/).click();
    await page.getByRole("heading", { name: "Take snapshot: 1 bot", level: 1 }).waitFor();
    await page.getByText("Finished").waitFor();
    await look("progress");
    await page.getByRole("link", { name: "Orders to many bots" }).click();
    await page.getByRole("link", { name: "Take snapshot" }).waitFor();
    await look("orders");
  });

  await t.test("the audit log is filtered, and exported as it is shown", async () => {
    await go("/audit", "Audit log");
    await page.getByLabel("Search").fill("set-limit");
    await page.getByText("Changed: admin-set-limit").first().waitFor();
    await page.getByText("Order: admin-suspend-user").waitFor({ state: "detached" });
    const [file] = await Promise.all([page.waitForEvent("download"), button("Export as CSV").click()]);
    const [separator, ...lines] = (await readFile(await file.path(), "utf8")).trim().split("\r\n");
    assert.equal(separator, "sep=,");
    assert.match(lines[0], /^id,time,kind,action,/);
    assert.ok(lines.length > 1 && lines.slice(1).every((line) => line.includes("admin-set-limit")), lines.join("\n"));
    await look("audit-log");
  });

  await t.test("costs name the limit of a bot", async () => {
    await go("/costs", "Costs");
    await page.getByText("By bot").waitFor();
    await look("costs");
  });

  await t.test("a sink is added, tested and removed, and a threshold changed", async () => {
    await go("/settings", "Settings");
    await button("Add …").click();
    await page.getByLabel("Name").fill("on-call");
    await page.getByLabel("Address of the webhook").fill("https://sink.example.org/hook");
    await page.getByLabel("Secret (whsec_…)").fill(`whsec_${Buffer.alloc(24, 7).toString("base64")}`);
    await look("sink");
    await inDialog("Add").click();
    await button("Remove: on-call").waitFor();
    await button("Change: Crash loop").click();
    await page.getByLabel("Opens after, in seconds").fill("90");
    await inDialog("Save").click();
    await page.getByText("1 min 30 s").waitFor();
    const { rules } = await ask("/api/admin/alerts/settings");
    assert.equal(rules.find(({ rule }) => rule === "crash-loop").opens_after_s, 90);
    await look("settings");
    await button("Remove: on-call").click();
    await inDialog("Remove").click();
    await page.getByText("Nobody is told of incidents").waitFor();
  });
  assert.deepEqual(complaints, []);
});

test("ten thousand bots are scrolled through smoothly, page by page", async (t) => {
  const { worker, url } = await start(t);
  const database = await worker.database();
  const numbers = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${FLEET})`;
  const id = "printf('10000000-0000-4000-8000-%012d', i)";
  await database.batch([
    database.prepare(`INSERT INTO users (user_id, email, created_at, seen_at) ${numbers} SELECT ${id}, 'user-' || i || '@example.org', 1, 1 FROM n`),
    database.prepare(`INSERT INTO bots (user_id, state, awake, run, since, health) ${numbers} SELECT ${id}, 'asleep', 0, 1, 1, 'unknown' FROM n`),
  ]);
  const { page, complaints } = await open(t);
  await page.goto(`${url}/admin/bots`);
  await fillIn(page);
  await enrol(page);
  await page.getByText("user-1@example.org").waitFor();
  // From page to page, to the end; each frame is timed.
  const { frames, rows } = await page.evaluate(async (fleet) => {
    const times = [];
    let rows = 0;
    let last = performance.now();
    const next = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const count = () => Number(/^([\d,]+)/.exec(document.querySelector(".bar [role=status]").textContent)?.[1].replaceAll(",", "") ?? 0);
    const until = performance.now() + 120_000;
    while ((count() < fleet || scrollY + innerHeight < document.documentElement.scrollHeight - 2) && performance.now() < until) {
      scrollBy(0, 640);
      const now = await next();
      times.push(now - last);
      last = now;
      rows = Math.max(rows, document.querySelectorAll("tbody tr").length);
    }
    return { frames: times.slice(1).sort((a, b) => a - b), rows };
  }, FLEET);
  const at = (share) => frames[Math.floor((frames.length - 1) * share)];
  t.diagnostic(`${FLEET} bots: ${frames.length} frames, median ${at(0.5).toFixed(1)} ms, 95 % below ${at(0.95).toFixed(1)} ms, at most ${rows} rows drawn`);
  await until(async () => /^10,002 in all/.test(await page.locator(".bar [role=status]").textContent()), "the whole fleet was loaded");
  assert.ok(rows < 80, `${rows} rows`);
  assert.ok(at(0.5) < SMOOTH_MS, `${at(0.5)} ms`);
  assert.deepEqual(complaints, []);
});
