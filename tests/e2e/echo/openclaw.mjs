// Stands in for the gateway where a test must see bytes: says that it has started, gives back what it is
// given, and sends events only when it is told to.
import { createServer } from "node:http";

const port = 18789;
const streams = new Set();

createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://gateway");
  if (pathname === "/startupz") return json(response, { ok: true, status: "started" });
  if (pathname === "/healthz") return json(response, { ok: true, status: "live" });
  if (pathname === "/echo") {
    response.setHeader("content-type", "application/octet-stream");
    if (request.headers["content-length"]) response.setHeader("content-length", request.headers["content-length"]);
    return request.pipe(response);
  }
  if (pathname === "/events") {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
    response.write("data: open\n\n");
    streams.add(response);
    return response.on("close", () => streams.delete(response));
  }
  if (pathname === "/send") {
    const event = new URL(request.url, "http://gateway").searchParams.get("event");
    for (const stream of streams) stream.write(`data: ${event}\n\n`);
    return json(response, { streams: streams.size });
  }
  if (pathname === "/headers") return json(response, request.headers);
  response.writeHead(404).end();
}).listen(port, "127.0.0.1");

function json(response, value) {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}

process.on("SIGTERM", () => process.exit(0));
