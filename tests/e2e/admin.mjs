// The admin UI in a browser, over the built Worker in workerd with a fake container.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { freePort } from "../free-port.mjs";
import { ALICE, BOB, bearer, startWorker } from "../worker/harness.mjs";
import { codeOf } from "../worker/totp.mjs";
import { openBrowser, openPage } from "./page.mjs";

const ADMIN_LOGIN = { email: "dev-admin@moltworker.test", password: "dev-admin-password" };
const axe = await readFile(createRequire(new URL("../../admin-ui/package.json", import.meta.url)).resolve("axe-core/axe.min.js"), "utf8");

/** Bots have hosts of their own. */
const APART = { BOT_DOMAIN: "bots.localhost" };

/** A Worker whose address a browser on this machine can open, with two bots, one of which runs. */
export async function start(t, where = APART) {
  const port = await freePort();
  const worker = await startWorker(t, { assets: true, port, bindings: { PUBLIC_URL: `http://127.0.0.1:${port}`, ...where } });
  const host = worker.address.host;
  for (const [sub, email] of [[ALICE, "dev-1@moltworker.test"], [BOB, "dev-2@moltworker.test"]]) {
    await worker.fetch("/", { host, headers: bearer(worker.provider.token({ sub, email })) });
  }
  return { worker, url: worker.address.origin };
}

/** A page of the UI, and what goes wrong in it. */
export async function open(t) {
  const { page, complaints } = await openPage(await openBrowser(t));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  return { page, complaints };
}

export const fillIn = async (page, judge = async () => {}) => {
  await page.getByLabel("E-mail address").fill(ADMIN_LOGIN.email);
  await judge("sign-in");
  await page.getByLabel("Password").fill(ADMIN_LOGIN.password);
  await page.keyboard.press("Enter");
};

/** Sets an authenticator app up, and goes in with it. */
export const enrol = async (page, judge = async () => {}) => {
  const secret = await page.locator("code").textContent();
  await page.getByRole("img", { name: /QR code/ }).evaluate((image) => image.decode());
  await judge("enrolment");
  await page.getByLabel("Code of your authenticator app").fill(codeOf(secret));
  await page.keyboard.press("Enter");
};

/** Fails where axe-core finds something serious on the page as it is. */
export async function judge(page, name) {
  // By the debugger: the page's own policy would not let it in.
  const debuggers = await page.context().newCDPSession(page);
  await debuggers.send("Runtime.evaluate", { expression: axe });
  // What is still on its way in has other colours.
  await page.evaluate(() => {
    // Those that follow a scroll bar never end.
    const ending = document.getAnimations().filter(({ timeline, effect }) => timeline === document.timeline && Number.isFinite(effect.getComputedTiming().endTime));
    return Promise.allSettled(ending.map(({ finished }) => finished));
  });
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  assert.deepEqual(serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(", ")}`), [], name);
}
