// What is sealed in a browser's cookies.
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

export const SESSION_COOKIE = "__Host-moltbot-session";
export const FLOW_COOKIE = "__Host-moltbot-sign-in";
export const PENDING_COOKIE = "__Host-moltbot-second-factor";
/** What the Worker's tests seal with. */
export const SESSION_KEY = Buffer.alloc(32, 7);

/** What a session cookie says; its value alone will do. */
export function sessionOf(cookie, { purpose = SESSION_COOKIE, key = SESSION_KEY } = {}) {
  const sealed = Buffer.from(cookie.slice(cookie.indexOf("=") + 1), "base64url");
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12));
  decipher.setAAD(Buffer.from(purpose));
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
