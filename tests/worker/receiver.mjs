// Where alerts arrive: a server of this machine, which the Worker may send to because the operator's setting names it.
import { once } from "node:events";
import { createServer } from "node:http";

/** `answer(path)` is the status, or `[status, headers]`, or a promise of it; every request is kept in `got`. While it `hangs`, `closed` counts who gave up. */
export async function startReceiver(t, answer = () => 200) {
  const receiver = { got: [], answer, hangs: false, closed: 0 };
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    receiver.got.push({ path: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() });
    if (receiver.hangs) return void response.once("close", () => (receiver.closed += 1));
    const [status, headers] = [await receiver.answer(request.url)].flat();
    response.writeHead(status, headers).end("what nobody reads");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  receiver.host = `127.0.0.1:${server.address().port}`;
  receiver.url = `http://${receiver.host}`;
  /** What arrived at a path, as JSON. */
  receiver.at = (path) => receiver.got.filter((one) => one.path === path).map(({ body }) => JSON.parse(body));
  return receiver;
}
