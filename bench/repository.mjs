// Counts what programs ask of a repository: requests, operations of the bucket and bytes; and the price they imply.
import { createServer, request as httpRequest } from "node:http";
import { once } from "node:events";

// Cloudflare's list prices in dollars per million: R2 operations that change or list (class A), those that read
// (class B), requests to a Worker. Deleting is free, and so is what leaves R2.
const PRICES = { a: 4.5, b: 0.36, requests: 0.3 };
// A bot that is used four hours a day and changes all the time: one snapshot a minute.
const SNAPSHOTS_A_MONTH = 4 * 60 * 30;
// Objects in one page of a bucket's list.
const PAGE = 1_000;

/** What a month of snapshots costs of which each asks for so much. */
export function price(counts) {
  const dollars = ["a", "b", "requests"].map((kind) => (counts[kind] * SNAPSHOTS_A_MONTH * PRICES[kind]) / 1e6);
  const all = dollars.reduce((sum, part) => sum + part, 0);
  const [a, b, requests] = dollars.map((part) => part.toFixed(2));
  return `$${all.toFixed(2)}, of which class A $${a}, class B $${b}, requests $${requests}`;
}

/** Passes everything on to the Worker and counts what each request is to the bucket. */
export async function countingProxy(target) {
  const counter = { reset: () => (counter.counts = { a: 0, b: 0, requests: 0, up: 0, down: 0 }) };
  counter.reset();
  const { hostname, port } = new URL(target);
  counter.server = createServer((incoming, answer) => {
    const { method, url, headers } = incoming;
    const { counts } = counter;
    counts.requests += 1;
    const lists = method === "GET" && url.endsWith("/");
    const onward = httpRequest({ hostname, port, method, path: url, headers }, (from) => {
      answer.writeHead(from.statusCode, from.rawHeaders);
      let text = "";
      from.on("data", (data) => {
        counts.down += data.length;
        if (lists) text += data;
      });
      from.on("end", () => {
        if (lists) counts.a += Math.max(1, Math.ceil(JSON.parse(text).length / PAGE));
      });
      from.pipe(answer);
    });
    // Renewing a token and making a repository ask nothing of the bucket.
    if (method === "POST" && !url.includes("?") && !url.endsWith("/token")) counts.a += 1;
    else if (!lists && (method === "GET" || method === "HEAD")) counts.b += 1;
    incoming.on("data", (data) => (counts.up += data.length));
    incoming.pipe(onward);
    onward.on("error", () => answer.destroy());
  });
  counter.server.listen(0, "127.0.0.1");
  await once(counter.server, "listening");
  counter.url = `http://127.0.0.1:${counter.server.address().port}`;
  return counter;
}
