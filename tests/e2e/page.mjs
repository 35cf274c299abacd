// A person in a browser: the sign-in page, and the bot's page as they use it.
import { chromium } from "playwright-core";

// A bot that sleeps needs half a minute to wake on a busy machine.
const WAKING_MS = 180_000;
const ANSWER_MS = 60_000;

export async function openBrowser(t) {
  const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM_BIN, args });
  t.after(() => browser.close());
  return browser;
}

/** A page of a browser that nobody has used before, and what goes wrong in its scripts. */
export async function openPage(browser) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  return { context, page, complaints };
}

/** Fills in the sign-in page and sends it. */
export async function signIn(page, { email, password }) {
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

/** Waits until the bot's page is there, however long the bot takes to wake. */
export function waitForBot(page) {
  return composer(page).waitFor({ timeout: WAKING_MS });
}

/** What was said in this file, whose bot is new: an answer on the page is told from an older one by its words alone. */
const said = new Set();

/** Says words nobody has said before, and waits for the bot's answer to them. */
export async function say(page, words) {
  if (said.has(words)) throw new Error(`"${words}" was said before: the answer to that would be taken for this one's`);
  said.add(words);
  await composer(page).fill(words);
  await composer(page).press("Enter");
  await waitForAnswer(page, words);
}

/** Waits until the conversation on the page has the answer to these words. */
export function waitForAnswer(page, words) {
  const text = `This is the local stand-in model. You said: "${words}".`;
  // The first of several: beside the conversation the page has a line for screen readers, which says the last answer again.
  // None of them is an older one, because `say` takes no words twice.
  return page.getByRole("paragraph").filter({ hasText: text }).first().waitFor({ timeout: ANSWER_MS });
}

function composer(page) {
  // The page has other ones, which it shows now and then.
  return page.locator("textarea:visible").first();
}
