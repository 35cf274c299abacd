// A person's session in a real browser: signing in by password and by way of a provider, landing where they wanted,
// chatting on while sessions run out and are renewed, and signing out.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SESSION_COOKIE, sessionOf } from "../worker/sealed.mjs";
import { openBrowser, say, signIn, waitForBot } from "./page.mjs";
import { startStack } from "./stack.mjs";
import { until } from "../until.mjs";

// A bot that sleeps needs half a minute to wake on a busy machine.
const WAKING_MS = 180_000;
/** Seconds; long enough to load a page in, short enough to wait for. */
const TOKEN_LIFETIME = 20;
const CLAW = "claw.localhost";

test("sign-in", { timeout: 30 * 60_000 }, async (t) => {
  const stack = await startStack(t, { tokenLifetime: TOKEN_LIFETIME });
  const user = stack.user("dev-1");
  const browser = await openBrowser(t);

  await t.test("a password sign-in leads to the requested page with its query", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`${stack.url}/chat?from=a%20mail`);
    await page.waitForURL("**/login?next=**");
    await signIn(page, user);
    await page.waitForURL((url) => url.pathname === "/chat" && url.searchParams.get("from") === "a mail");
    await waitForBot(page);
    await context.close();
  });

  const context = await browser.newContext();
  const page = await context.newPage();
  await t.test("an OAuth sign-in leads to chat over a WebSocket", async () => {
    await page.goto(`${stack.url}/chat?from=oauth`);
    await page.getByRole("link", { name: "Continue with GitHub" }).click();
    await page.getByRole("button", { name: "Continue as dev-1" }).click();
    await page.waitForURL((url) => url.pathname === "/chat" && url.searchParams.get("from") === "oauth");
    await waitForBot(page);
    await say(page, "hello");
  });

  await t.test("an expired session is renewed without a visible change", async () => {
    const first = await session(context);
    await runsOut(stack, first);
    // The open conversation goes on; the next page load renews and is not sent to the sign-in page.
    await say(page, "are you still there?");
    await page.reload();
    await waitForBot(page);
    assert.notEqual(new URL(page.url()).pathname, "/login");
    const second = await session(context);
    assert.notEqual(second, first, "the cookie is a new one");
    // A WebSocket alone renews as well: the page's own, after its connection was cut.
    await runsOut(stack, second);
    await context.setOffline(true);
    await context.setOffline(false);
    await say(page, "and after a cut?");
  });

  await t.test("a session on a custom domain signs in, renews and signs out", async () => {
    const claw = `http://${CLAW}:${new URL(stack.url).port}`;
    await stack.giveDomain("dev-1", CLAW);
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`${claw}/chat?from=domain`);
    await page.waitForURL(`${stack.url}/login**`);
    await page.getByRole("link", { name: "Continue with GitHub" }).click();
    await page.getByRole("button", { name: "Continue as dev-1" }).click();
    await page.waitForURL((url) => url.origin === claw && url.pathname === "/chat" && url.searchParams.get("from") === "domain");
    await waitForBot(page);
    await say(page, "here is my own domain");
    const first = await session(context, claw);
    await runsOut(stack, first, CLAW);
    await say(page, "is it still mine?");
    await page.reload();
    await waitForBot(page);
    assert.equal(new URL(page.url()).origin, claw, "it was not led to the sign-in page");
    assert.notEqual(await session(context, claw), first, "the cookie is a new one");
    await page.goto(`${claw}/auth/sign-out`);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByText("You are signed out").waitFor();
    await page.goto(`${claw}/chat`);
    await page.waitForURL(`${stack.url}/login**`);
    await page.getByLabel("Password").waitFor();
    await context.close();
  });

  await t.test("signing out ends the session and access to the bot", async () => {
    const held = await session(context);
    await page.goto(`${stack.url}/login`);
    await page.getByText(user.email).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Password").waitFor();
    assert.equal(await session(context), undefined);
    await page.goto(`${stack.url}/chat`);
    await page.waitForURL("**/login?next=**");
    // A copy of the cookie is not renewed any more.
    await until(async () => (await stack.fetch("/api/bot", { headers: { cookie: `${SESSION_COOKIE}=${held}` } })).status === 401, "the copy has run out", {
      deadlineMs: (TOKEN_LIFETIME + 10) * 1000,
      pauseMs: 500,
    });
  });

  await t.test("a sign-in cancelled at the provider shows the platform's message", async () => {
    await page.goto(`${stack.url}/login`);
    await page.getByRole("link", { name: "Continue with Google" }).click();
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("alert").getByText("did not sign you in").waitFor();
  });

  await t.test("a mailed code signs in without JavaScript", async () => {
    const plain = await browser.newContext({ javaScriptEnabled: false });
    const tab = await plain.newPage();
    await tab.goto(`${stack.url}/login`);
    await tab.getByLabel("E-mail").fill(user.email);
    await tab.getByRole("button", { name: "E-mail me a link instead" }).click();
    const [mail] = await (await fetch(new URL("/mails", stack.supabaseUrl))).json();
    await tab.getByLabel("Code").fill(mail.code);
    await tab.getByRole("button", { name: "Sign in" }).click();
    await tab.waitForURL((url) => url.pathname === "/");

    // The waking page needs none either: it asks again by itself, for the address that was asked for.
    const token = await stack.token("dev-1");
    assert.equal((await stack.fetch("/api/bot/sleep", { token, method: "POST" })).status, 200);
    const state = async () => (await (await stack.fetch("/api/bot", { token })).json()).state;
    await until(async () => (await state()) === "asleep", "the bot sleeps", { deadlineMs: 60_000, pauseMs: 500 });
    const address = `${stack.url}/chat?from=plain`;
    const arrived = tab.waitForResponse((answer) => answer.url() === address && answer.status() === 200, { timeout: WAKING_MS });
    assert.equal((await tab.goto(address)).status(), 503);
    await tab.getByRole("heading", { name: "Your bot is waking up" }).waitFor();
    await arrived;
    await plain.close();
  });
});

async function session(context, url) {
  return (await context.cookies(url)).find(({ name, value }) => name === SESSION_COOKIE && value)?.value;
}

/** Waits until what a session's cookie proves has ended. On a domain it is sealed for that host. */
async function runsOut(stack, cookie, host) {
  const purpose = host && `${SESSION_COOKIE}@${host}`;
  const { expires_at } = sessionOf(cookie, { purpose, key: Buffer.from(stack.sessionKey, "base64") }).identity;
  await until(() => Date.now() >= expires_at * 1_000, "the session has run out", { deadlineMs: (TOKEN_LIFETIME + 1) * 1_000 });
}
