// The owner's own page in a browser, over the built Worker in workerd with a fake container: signing in, an order, a snapshot and
// its restore, a token, and what axe-core says of each part.
import assert from "node:assert/strict";
import { test } from "node:test";
import { freePort } from "../free-port.mjs";
import { until } from "../until.mjs";
import { backup, store, taken } from "../worker/backups.mjs";
import { ALICE, ALICE_LOGIN, bearer, startWorker } from "../worker/harness.mjs";
import { judge as judgePage, open as openUi } from "./admin.mjs";
import { signIn } from "./page.mjs";

const OLDER = "aa".repeat(32);
const NEWER = "bb".repeat(32);

/** A Worker whose address a browser on this machine can open, with Alice's bot, which runs and has two snapshots. */
async function start(t, bindings = { BOT_DOMAIN: "bots.localhost" }) {
  const port = await freePort();
  const worker = await startWorker(t, { assets: true, port, bindings: { PUBLIC_URL: `http://127.0.0.1:${port}`, ...bindings } });
  const bucket = await worker.mf.getR2Bucket("BUCKET");
  for (const id of [OLDER, NEWER]) await store(bucket, id);
  const now = Date.now();
  await worker.fake(ALICE, "set", { backup: backup({ taken: [taken(OLDER, now - 7_200_000), taken(NEWER, now - 60_000, { reason: "manual" })] }) });
  const asAlice = (path) => worker.fetch(path, { host: worker.address.host, headers: bearer(worker.provider.token({ sub: ALICE, email: ALICE_LOGIN.email })) });
  await asAlice("/");
  const ordered = (action) => until(async () => (await (await asAlice("/api/bot/events")).json()).events.find((event) => event.action === action), `the history has ${action}`);
  return { url: worker.address.origin, ordered };
}

async function open(t, url) {
  const { page, complaints } = await openUi(t);
  await page.goto(`${url}/bot`);
  await signIn(page, ALICE_LOGIN);
  await page.getByRole("heading", { name: "My bot", level: 1 }).waitFor();
  const follow = async (name) => {
    await page.getByRole("navigation", { name: "Pages", exact: true }).getByRole("link", { name }).click();
    await page.getByRole("heading", { name: name === "Overview" ? "My bot" : name, level: 1 }).waitFor();
  };
  return { page, complaints, follow, judge: (name) => judgePage(page, name) };
}

test("an owner sees, saves and restores a bot and gives a device a token", async (t) => {
  const { url, ordered } = await start(t);
  const { page, complaints, follow, judge } = await open(t, url);

  await t.test("the sign-in leads to the page, which says who and how it is", async () => {
    assert.equal(new URL(page.url()).pathname, "/bot");
    await page.getByText(ALICE_LOGIN.email).waitFor();
    await page.getByRole("heading", { name: /^Running\. It answers/ }).waitFor();
    assert.equal(await page.evaluate(() => document.cookie), "");
  });

  await t.test("each part shows what there is, in light and dark", async () => {
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      for (const [name, words] of [["Overview", "What it costs"], ["Snapshots", "Newest"], ["Settings", "There are no tokens"], ["History", "Signed in"]]) {
        await follow(name);
        await page.getByText(words).first().waitFor();
        await judge(`${name}, ${colorScheme}`);
      }
    }
  });

  await t.test("a snapshot is taken once that was confirmed", async () => {
    await follow("Snapshots");
    await page.getByRole("button", { name: "Take snapshot" }).click();
    const dialog = page.getByRole("dialog", { name: "Take a snapshot now?" });
    await judge("dialog of a snapshot");
    await dialog.getByRole("button", { name: "Take snapshot" }).click();
    await page.getByText("The snapshot was begun.").waitFor();
    await ordered("take-snapshot");
  });

  await t.test("a snapshot is looked into and offered for download", async () => {
    await page.getByRole("button", { name: /^Look into/ }).first().click();
    const dialog = page.getByRole("dialog", { name: /^Snapshot of/ });
    await dialog.getByRole("link", { name: /^in/ }).waitFor();
    await judge("inside a snapshot");
    assert.equal(await dialog.getByRole("link", { name: "Download all of it" }).getAttribute("href"), `/api/bot/snapshots/archive?snapshot=${NEWER}`);
    await dialog.getByRole("button", { name: "Close" }).click();
  });

  await t.test("a restore says what replaces what, and begins once confirmed", async () => {
    await page.getByRole("button", { name: /^Restore the snapshot/ }).last().click();
    const dialog = page.getByRole("dialog", { name: "Restore this snapshot?" });
    for (const words of ["Replaced", /What your bot has now/, /2 h ago.*3 files/, /saved first/]) await dialog.getByText(words).first().waitFor();
    await judge("dialog of a restore");
    await dialog.getByRole("button", { name: "Restore" }).click();
    await page.getByText("The restore was begun.").waitFor();
    assert.ok((await ordered("restore-snapshot")).detail.includes(OLDER));
  });

  await t.test("a token is made, told once and revoked", async () => {
    await follow("Settings");
    await page.getByLabel("Name of a new token").fill("My phone");
    await page.getByRole("button", { name: "Make token" }).click();
    await page.getByText(/^mwk_/).waitFor();
    await judge("a new token");
    await page.getByRole("button", { name: "Revoke My phone" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
    await page.getByText("It is revoked.").waitFor();
    await page.getByText("There are no tokens").waitFor();
  });

  await t.test("signing out leads to the sign-in", async () => {
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.waitForURL(`${url}/login`);
    await page.goto(`${url}/bot`);
    await page.getByLabel("Password").waitFor();
  });
  assert.deepEqual(complaints, []);
});

test("where bots share the host the page looks and says what to set", async (t) => {
  const { url } = await start(t, {});
  const { page, complaints, follow, judge } = await open(t, url);
  await page.getByText(/has to set BOT_DOMAIN/).waitFor();
  await judge("overview");
  const orders = await page.getByRole("region", { name: "Orders" }).getByRole("button").allTextContents();
  assert.deepEqual(orders, ["Restart"]);
  await page.getByRole("button", { name: "Restart" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Restart" }).click();
  await page.getByText("It starts afresh.").waitFor();
  await follow("Snapshots");
  await page.getByText("Newest").waitFor();
  assert.equal(await page.getByRole("button", { name: /^Restore/ }).count(), 0);
  assert.deepEqual(complaints, []);
});
