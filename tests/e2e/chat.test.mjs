// A person in a browser: signs in, talks to the bot, reloads, opens a second tab.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { openBrowser, openPage, say, signIn, waitForAnswer, waitForBot } from "./page.mjs";
import { docker, kept, startStack } from "./stack.mjs";
import { until } from "../until.mjs";

// From the page's next attempt to connect to a container.
const WOKEN_MS = 120_000;

test("chat", { timeout: 30 * 60_000 }, async (t) => {
  const stack = await startStack(t);
  const user = stack.user("dev-1");
  const browser = await openBrowser(t);
  const { context, page, complaints } = await openPage(browser);

  await t.test("signing in leads to the bot without a pairing prompt", async () => {
    await page.goto(stack.url);
    await page.waitForURL("**/login**");
    await signIn(page, { ...user, password: "wrong" });
    await page.getByRole("alert").waitFor();
    assert.deepEqual(await stack.containers(), []);

    await signIn(page, user);
    await waitForBot(page);
    assert.equal(new URL(page.url()).origin, stack.url);
    assert.doesNotMatch(await page.locator("body").innerText(), /pairing required|device token/i);
  });

  await t.test("the model answers a chat message", async () => {
    // The picture is of most use when the answer does not come.
    await say(page, "hello").finally(() => page.screenshot({ path: join(kept, "chat.png") }));
  });

  await t.test("a reload and a second tab show the same conversation", async () => {
    await page.reload();
    await waitForAnswer(page, "hello");
    const second = await context.newPage();
    await second.goto(page.url());
    await waitForAnswer(second, "hello");
    await second.close();
  });

  await t.test("the page reconnects by itself after its container was killed", async () => {
    const killed = await stack.containerOf("dev-1");
    await docker("kill", killed.id);
    // Nobody asks for anything but the page that is open.
    await until(async () => ![undefined, killed.id].includes((await stack.containerOf("dev-1"))?.id), "the page has woken the bot", {
      deadlineMs: WOKEN_MS,
    });
    await waitForBot(page);
    await say(page, "are you there?");
  });

  assert.deepEqual(complaints, []);
});
