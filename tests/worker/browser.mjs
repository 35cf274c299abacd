// As much of a browser as signing in takes.
import assert from "node:assert/strict";
import { ALICE_LOGIN, ORIGIN } from "./harness.mjs";
import { SESSION_COOKIE } from "./sealed.mjs";

export const NAVIGATION = { "sec-fetch-mode": "navigate", accept: "text/html" };
/** A request for a page. */
export const PAGE = { headers: NAVIGATION };

/** How a form of our own page is sent. */
export function form(fields, headers = {}) {
  return {
    method: "POST",
    body: new URLSearchParams(fields).toString(),
    headers: { "content-type": "application/x-www-form-urlencoded", origin: ORIGIN, ...headers },
  };
}

/** Sends the sign-in form. */
export function send(worker, fields, headers) {
  return worker.fetch("/login", form(fields, headers));
}

/** `name=value` of a cookie an answer sets, or `undefined`. */
export function cookieOf(answer, name = SESSION_COOKIE) {
  return answer.headers.getSetCookie().find((line) => line.startsWith(`${name}=`))?.split(";")[0];
}

/** Signs Alice in by password; answers her cookie. */
export async function signIn(worker) {
  const answer = await send(worker, ALICE_LOGIN);
  assert.equal(answer.status, 303, await answer.text());
  return cookieOf(answer);
}

/** One that keeps the cookies of each host, and follows redirects and refreshes one at a time. */
export class Browser {
  cookies = new Map();

  constructor(worker) {
    this.worker = worker;
  }

  jar(host) {
    if (!this.cookies.has(host)) this.cookies.set(host, new Map());
    return this.cookies.get(host);
  }

  /** One request of a page at `url`; keeps what cookies the answer sets. */
  async send(url, { method = "GET", headers = {}, body } = {}) {
    const { host, pathname, search } = new URL(url);
    const cookie = [...this.jar(host)].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await this.worker.fetch(pathname + search, {
      method, body, host, headers: { ...NAVIGATION, ...(cookie && { cookie }), ...headers },
    });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (/Max-Age=0(;|$)/.test(line)) this.jar(host).delete(name);
      else this.jar(host).set(name, value);
    }
    return answer;
  }

  /** Where an answer leads, if it leads on. */
  static async next(answer, from) {
    const location = answer.headers.get("location");
    if (location) return new URL(location, from).href;
    if (!answer.headers.get("content-type")?.startsWith("text/html")) return undefined;
    const refresh = /http-equiv="refresh" content="0; url=([^"]+)"/.exec(await answer.clone().text());
    return refresh ? new URL(refresh[1].replaceAll("&amp;", "&"), from).href : undefined;
  }

  /** Opens `url` and follows until a page stays; `stopAt` ends the journey before an address that it matches. */
  async open(url, { stopAt } = {}) {
    const path = [url];
    for (let at = url; ; ) {
      const answer = await this.send(at);
      const next = await Browser.next(answer, at);
      if (!next || stopAt?.test(next)) return { answer, url: at, next, path };
      if (path.length > 10) throw new Error(`led in circles: ${path.join(" → ")}`);
      path.push((at = next));
    }
  }

  /** Signs Alice in on the platform's host. */
  async signIn(origin) {
    const answer = await this.send(`${origin}/login`, form({ ...ALICE_LOGIN, next: "/" }, { origin }));
    if (answer.status !== 303) throw new Error(`signing in answered ${answer.status}`);
    return answer;
  }
}
