// What a browser does with the sign-in page.
import assert from "node:assert/strict";
import { ALICES, ORIGIN } from "./harness.mjs";
import { SESSION_COOKIE } from "./sealed.mjs";

export const NAVIGATION = { "sec-fetch-mode": "navigate", accept: "text/html" };

/** Sends the sign-in form. */
export function send(worker, fields, headers = {}) {
  return worker.fetch("/login", {
    method: "POST",
    body: new URLSearchParams(fields).toString(),
    headers: { "content-type": "application/x-www-form-urlencoded", origin: ORIGIN, ...headers },
  });
}

/** `name=value` of a cookie an answer sets, or `undefined`. */
export function cookieOf(answer, name = SESSION_COOKIE) {
  return answer.headers.getSetCookie().find((line) => line.startsWith(`${name}=`))?.split(";")[0];
}

/** Signs Alice in by password; answers her cookie. */
export async function signIn(worker) {
  const answer = await send(worker, ALICES);
  assert.equal(answer.status, 303, await answer.text());
  return cookieOf(answer);
}
