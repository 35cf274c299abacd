// As much of a browser as signing in takes: cookies of each host, redirects and refreshes followed one at a time.
import { ALICES } from "./harness.mjs";

const NAVIGATION = { "sec-fetch-mode": "navigate", accept: "text/html" };

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
    const body = new URLSearchParams({ ...ALICES, next: "/" }).toString();
    const headers = { "content-type": "application/x-www-form-urlencoded", origin };
    const answer = await this.send(`${origin}/login`, { method: "POST", body, headers });
    if (answer.status !== 303) throw new Error(`signing in answered ${answer.status}`);
    return answer;
  }
}
