// The admin UI in a browser, over the built Worker in workerd with a fake container: from the sign-in with a second factor to
// an order, and what axe-core says of each page.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ALICE } from "../worker/harness.mjs";
import { enrol, fillIn, judge as judgePage, open, start } from "./admin.mjs";

test("an admin signs in with a second factor, finds a bot and suspends it", async (t) => {
  const { worker, url } = await start(t);
  const { page, complaints } = await open(t);
  const judge = (name) => judgePage(page, name);
  const follow = async (name) => {
    await page.getByRole("navigation", { name: "Pages", exact: true }).getByRole("link", { name }).click();
    await page.getByRole("heading", { name, level: 1 }).waitFor();
  };

  await t.test("who is not signed in sees the sign-in, whatever the address", async () => {
    await page.goto(`${url}/admin/bots/${ALICE}`);
    await fillIn(page, judge);
  });

  await t.test("an authenticator app is set up, and leads to the page asked for", async () => {
    await enrol(page, judge);
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

  await t.test("a reload goes on where it was", async () => {
    await page.reload();
    await page.getByRole("heading", { name: /^Suspended\./ }).waitFor();
    assert.deepEqual(await page.evaluate(() => [Object.keys(localStorage), sessionStorage.length, document.cookie]), [[], 0, ""]);
  });

  await t.test("without BOT_DOMAIN there is no admin UI, and no token for the cookie", async () => {
    const shared = await start(t, {});
    const other = await page.context().newPage();
    // This page's policy lets it ask for nothing.
    await (await page.context().newCDPSession(other)).send("Page.setBypassCSP", { enabled: true });
    await other.goto(`${shared.url}/admin/`);
    await other.getByText("BOT_DOMAIN").first().waitFor();
    assert.equal(await other.getByLabel("E-mail address").count(), 0);
    // Cookies do not tell ports apart: the one of the Worker above goes along.
    const [asked, answer] = await Promise.all([
      other.waitForRequest((request) => request.url().endsWith("/api/sign-in/session")),
      other.evaluate(async () => (await fetch("/api/sign-in/session", { method: "POST" })).json()),
    ]);
    assert.match((await asked.allHeaders()).cookie, /__Host-moltbot-admin-session=./);
    assert.deepEqual(answer, { session: null });
    await other.close();
  });

  await t.test("who signed out is asked for the sign-in after a reload", async () => {
    const ended = page.waitForResponse((answer) => answer.request().method() === "DELETE");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("E-mail address").waitFor();
    assert.equal((await ended).status(), 200);
    await page.reload();
    await page.getByLabel("E-mail address").waitFor();
  });
  assert.deepEqual(complaints, []);
});
