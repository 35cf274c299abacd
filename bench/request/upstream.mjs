// Stands for the bot: a process of its own, so that what it costs is nobody's. Prints its port; ends with its parent.
import { createServer } from "node:http";

const body = Buffer.alloc(Number(process.argv[2]), "0123456789abcdef");

const server = createServer((request, response) => {
  // As the ingress does; the smallest Worker sends none.
  const id = request.headers["x-request-id"];
  response.writeHead(200, { ...(id && { "x-request-id": id }), "content-type": "text/plain; charset=utf-8", "content-length": body.length, "cache-control": "no-store" });
  response.end(body);
});
server.keepAliveTimeout = 600_000;
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.resume().on("end", () => process.exit());
