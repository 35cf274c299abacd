// A person's bot under a domain of its own, in a browser. Names below localhost lead to this machine, and browsers
// hold them for as secure as https, so that the platform's and the bot's host are two real origins.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { chromium } from "playwright-core";
import { kept, startStack } from "./stack.mjs";

const CLAW = "claw.localhost";
const ANSWER = 'This is the local stand-in model. You said: "hello".';
// A bot that sleeps needs half a minute to wake on a busy machine.
const WAKING_MS = 180_000;

test("domains", { timeout: 30 * 60_000 }, async (t) => {
  const stack = await startStack(t);
  const port = new URL(stack.url).port;
  const claw = `http://${CLAW}:${port}`;
  const user = stack.user("dev-1");
  const browser = await openBrowser(t);
  const context = await browser.newContext();
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  const sockets = [];
  page.on("websocket", (socket) => sockets.push(socket.url()));
  let container;

  await t.test("an unknown host is refused", async () => {
    const answer = await page.goto(claw);
    assert.equal(answer.status(), 404);
  });

  await t.test("a domain added while the bot runs shows the same conversation", async () => {
    await page.goto(stack.url);
    await signIn(page, user);
    await composer(page).waitFor({ timeout: WAKING_MS });
    await say(page, "hello");
    await answers(page).first().waitFor();
    container = (await stack.containerOf("dev-1")).id;

    const given = await stack.fetch(`/api/admin/users/${user.id}/domains`, {
      method: "POST",
      token: await stack.token("dev-admin"),
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ host: CLAW }),
    });
    assert.equal(given.status, 200, await given.clone().text());
    sockets.length = 0;
    await page.goto(`${claw}/chat`);
    await answers(page).first().waitFor({ timeout: 60_000 }).finally(() => page.screenshot({ path: join(kept, "domain.png") }));
    assert.equal(new URL(page.url()).origin, claw, "without a question: the browser is signed in on the platform");
    assert.ok(sockets.length > 0 && sockets.every((url) => new URL(url).host === `${CLAW}:${port}`), sockets.join());
    const before = await answers(page).count();
    await say(page, "hello");
    await answers(page).nth(before).waitFor();
    assert.equal((await stack.containerOf("dev-1")).id, container, "in the same container");
  });

  await t.test("each host has its own cookie, hidden from scripts", async () => {
    const cookies = await context.cookies();
    const ours = cookies.filter(({ name }) => name.startsWith("__Host-moltbot-"));
    const sessions = ours.filter(({ name }) => name === "__Host-moltbot-session");
    assert.deepEqual(sessions.map(({ domain }) => domain).sort(), [CLAW, "localhost"]);
    assert.notEqual(sessions[0].value, sessions[1].value);
    assert.ok(ours.every(({ httpOnly, secure }) => httpOnly && secure));
    assert.equal(await page.evaluate("document.cookie"), "");
  });

  await t.test("a browser without a session signs in and reaches the requested page", async () => {
    const other = await (await browser.newContext()).newPage();
    await other.goto(`${claw}/chat`);
    await other.waitForURL(`${stack.url}/login**`);
    await signIn(other, user);
    await composer(other).waitFor({ timeout: WAKING_MS });
    assert.equal(new URL(other.url()).origin, claw);
    await other.context().close();
  });

  await t.test("another user is refused on the domain, and their bot stays asleep", async () => {
    const other = await (await browser.newContext()).newPage();
    await other.goto(claw);
    await signIn(other, stack.user("dev-2"));
    await other.getByText("This is somebody else's bot.").waitFor();
    assert.equal(await stack.containerOf("dev-2"), undefined);
    await other.context().close();
  });

  await t.test("signing out on the domain signs the browser out everywhere", async () => {
    await page.goto(`${claw}/auth/sign-out`);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByText("You are signed out").waitFor();
    await page.goto(claw);
    await page.waitForURL(`${stack.url}/login**`);
    await page.getByLabel("Password").waitFor();
  });

  assert.deepEqual(complaints, []);
});

async function signIn(page, { email, password }) {
  await page.getByLabel("E-mail").first().fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

async function say(page, text) {
  await composer(page).fill(text);
  await composer(page).press("Enter");
}

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
