// The admin UI in a browser, over the built Worker in workerd with a fake container: from the sign-in with a second factor to
// an order, and what axe-core says of each page.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { freePort } from "../free-port.mjs";
import { ALICE, BOB, bearer, startWorker } from "../worker/harness.mjs";
import { codeOf } from "../worker/totp.mjs";
import { openBrowser, openPage } from "./page.mjs";

const ADMIN_LOGIN = { email: "dev-admin@moltworker.test", password: "dev-admin-password" };
const axe = await readFile(createRequire(new URL("../../admin-ui/package.json", import.meta.url)).resolve("axe-core/axe.min.js"), "utf8");

/** A Worker whose address a browser on this machine can open, with two bots, one of which runs. */
async function start(t) {
  const port = await freePort();
  const worker = await startWorker(t, { assets: true, port, bindings: { PUBLIC_URL: `http://127.0.0.1:${port}`, BOT_DOMAIN: "bots.localhost" } });
  const host = worker.address.host;
  for (const [sub, email] of [[ALICE, "dev-1@moltworker.test"], [BOB, "dev-2@moltworker.test"]]) {
    await worker.fetch("/", { host, headers: bearer(worker.provider.token({ sub, email })) });
  }
  return { worker, url: worker.address.origin };
}

/** What is serious of what axe-core finds on the page as it is. */
async function faults(page) {
  // By the debugger: the page's own policy would not let it in.
  const debuggers = await page.context().newCDPSession(page);
  await debuggers.send("Runtime.evaluate", { expression: axe });
  // What is still on its way in has other colours.
  await page.evaluate(() => Promise.allSettled(document.getAnimations().map(({ finished }) => finished)));
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(", ")}`);
}

test("an admin signs in with a second factor, finds a bot and suspends it", async (t) => {
  const { worker, url } = await start(t);
  const { page, complaints } = await openPage(await openBrowser(t));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  const judge = async (name) => assert.deepEqual(await faults(page), [], name);
  const follow = async (name) => {
    await page.getByRole("navigation", { name: "Pages", exact: true }).getByRole("link", { name }).click();
    await page.getByRole("heading", { name, level: 1 }).waitFor();
  };

  await t.test("who is not signed in sees the sign-in, whatever the address", async () => {
    await page.goto(`${url}/admin/bots/${ALICE}`);
    await page.getByLabel("E-mail address").fill(ADMIN_LOGIN.email);
    await judge("sign-in");
    await page.getByLabel("Password").fill(ADMIN_LOGIN.password);
    await page.keyboard.press("Enter");
  });

  await t.test("an authenticator app is set up, and leads to the page that was asked for", async () => {
    const secret = await page.locator("code").textContent();
    await page.getByRole("img", { name: /QR code/ }).evaluate((image) => image.decode());
    await judge("enrolment");
    await page.getByLabel("Code of your authenticator app").fill(codeOf(secret));
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "dev-1@moltworker.test" }).waitFor();
    assert.deepEqual(await page.evaluate(() => [Object.keys(localStorage), sessionStorage.length, document.cookie]), [[], 0, ""]);
  });

  await t.test("each page shows the fleet as it is, in light and dark", async () => {
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      for (const [name, words] of [["Overview", "Open incidents"], ["Bots", "dev-2@moltworker.test"], ["Incidents", "Nothing is wrong"], ["Platform", "Identity provider"]]) {
        await follow(name);
        await page.getByText(words).first().waitFor();
        await judge(`${name}, ${colorScheme}`);
      }
    }
  });

  await t.test("a bot is found, and suspended only once that was confirmed", async () => {
    await follow("Bots");
    await page.getByLabel("Search").fill("dev-1");
    await page.getByText("dev-2@moltworker.test").waitFor({ state: "detached" });
    await page.getByRole("link", { name: "dev-1@moltworker.test" }).click();
    await page.getByRole("button", { name: "Suspend" }).click();
    const dialog = page.getByRole("dialog", { name: "Suspend dev-1@moltworker.test's bot?" });
    await judge("dialog");
    await dialog.getByRole("button", { name: "Cancel" }).click();
    assert.notEqual((await worker.bots()).find(({ user_id }) => user_id === ALICE).state, "suspended");
    await page.getByRole("button", { name: "Suspend" }).click();
    await dialog.getByRole("button", { name: "Suspend" }).click();
    await page.getByRole("heading", { name: /^Suspended\./ }).waitFor();
    await judge("bot");
  });

  await t.test("a reload asks for the sign-in again", async () => {
    await page.reload();
    await page.getByLabel("E-mail address").waitFor();
  });
  assert.deepEqual(complaints, []);
});
