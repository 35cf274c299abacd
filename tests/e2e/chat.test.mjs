// A person in a browser: signs in, talks to the bot, reloads, opens a second tab.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { chromium } from "playwright-core";
import { docker, kept, startStack } from "./stack.mjs";

const ANSWER = 'This is the local stand-in model. You said: "hello".';
// A bot that sleeps needs half a minute to wake on a busy machine.
const WAKING_MS = 120_000;

test("chat", { timeout: 30 * 60_000 }, async (t) => {
  const stack = await startStack(t);
  const user = stack.user("dev-1");
  const browser = await openBrowser(t);
  const context = await browser.newContext();
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));

  await t.test("signing in leads to the bot without a pairing prompt", async () => {
    await page.goto(stack.url);
    await page.waitForURL("**/login**");
    await page.getByLabel("E-mail").fill(user.email);
    await page.getByLabel("Password").fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").waitFor();
    assert.deepEqual(await stack.containers(), []);

    await page.getByLabel("Password").fill(user.password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await composer(page).waitFor({ timeout: WAKING_MS });
    assert.equal(new URL(page.url()).origin, stack.url);
    assert.doesNotMatch(await page.locator("body").innerText(), /pairing required|device token/i);
  });

  await t.test("the model answers a chat message", async () => {
    await composer(page).fill("hello");
    await composer(page).press("Enter");
    // The picture is of most use when the answer does not come.
    await answers(page).first().waitFor().finally(() => page.screenshot({ path: join(kept, "chat.png") }));
  });

  await t.test("a reload and a second tab show the same conversation", async () => {
    await page.reload();
    await answers(page).first().waitFor();
    const second = await context.newPage();
    await second.goto(page.url());
    await answers(second).first().waitFor();
    await second.close();
  });

  await t.test("the page reconnects by itself after its container was killed", async () => {
    await docker("kill", (await stack.containerOf("dev-1")).id);
    await page.goto(stack.url);
    await composer(page).waitFor({ timeout: WAKING_MS });
    await composer(page).fill("hello");
    await composer(page).press("Enter");
    await answers(page).first().waitFor();
  });

  assert.deepEqual(complaints, []);
});

function composer(page) {
  // There is a hidden one as well, for the icon of a session.
  return page.locator("textarea:visible").first();
}

function answers(page) {
  return page.getByText(ANSWER);
}

async function openBrowser(t) {
  const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM_BIN, args });
  t.after(() => browser.close());
  return browser;
}
