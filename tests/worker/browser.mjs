// What a browser does with the sign-in page, and what is sealed in its cookies.
import assert from "node:assert/strict";
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { ORIGIN, SESSION_KEY } from "./harness.mjs";

export const NAVIGATION = { "sec-fetch-mode": "navigate", accept: "text/html" };
export const SESSION_COOKIE = "__Host-moltbot-session";
export const FLOW_COOKIE = "__Host-moltbot-sign-in";

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
  const answer = await send(worker, { email: "alice@example.com", password: "right" });
  assert.equal(answer.status, 303, await answer.text());
  return cookieOf(answer);
}

/** What a session cookie says. */
export function sessionOf(cookie) {
  const sealed = Buffer.from(cookie.slice(cookie.indexOf("=") + 1), "base64url");
  const decipher = createDecipheriv("aes-256-gcm", SESSION_KEY, sealed.subarray(0, 12));
  decipher.setAAD(Buffer.from(SESSION_COOKIE));
  decipher.setAuthTag(sealed.subarray(-16));
  return JSON.parse(Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]));
}

/** A cookie as the Worker seals it, unless another key or purpose is given. */
export function sealed(value, { name = SESSION_COOKIE, purpose = name, key = SESSION_KEY } = {}) {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(Buffer.from(purpose));
  const text = Buffer.concat([nonce, cipher.update(JSON.stringify(value)), cipher.final(), cipher.getAuthTag()]);
  return `${name}=${text.toString("base64url")}`;
}
