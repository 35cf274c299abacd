// What the Worker asks besides the identity provider: a DNS resolver with the JSON API, and Cloudflare's API for
// custom hostnames, both as far as the Worker speaks to them.
import { once } from "node:events";
import { createServer } from "node:http";

async function serve(t, answer) {
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const [status, document] = answer(request, new URL(request.url, "http://here"), text);
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(document));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return `http://127.0.0.1:${server.address().port}`;
}

/** TXT records by name; a name that is set to a number fails with that DNS status. */
export async function startDns(t) {
  const dns = { txt: new Map(), asked: [] };
  const base = await serve(t, (request, url) => {
    const name = url.searchParams.get("name");
    dns.asked.push({ name, type: url.searchParams.get("type"), accept: request.headers.accept });
    const found = dns.txt.get(name);
    if (typeof found === "number") return [200, { Status: found }];
    if (!found) return [200, { Status: 3, Question: [{ name, type: 16 }] }];
    const Answer = found.map((data) => ({ name, type: 16, TTL: 60, data: JSON.stringify(data) }));
    return [200, { Status: 0, Question: [{ name, type: 16 }], Answer }];
  });
  dns.url = `${base}/dns-query`;
  return dns;
}

export const ZONE = "023e105f4ecef8ad9ca31a8372d0c353";

/** `…/zones/<zone>/custom_hostnames`: made, found, polled, deleted. A hostname is active when a test says so. */
export async function startCloudflare(t, token) {
  const cloudflare = { hostnames: new Map(), calls: [] };
  const fail = (status, code, message) => [status, { success: false, errors: [{ code, message }], messages: [], result: null }];
  const good = (result, status = 200) => [status, { success: true, errors: [], messages: [], result }];
  cloudflare.url = await serve(t, (request, url, body) => {
    cloudflare.calls.push(`${request.method} ${url.pathname}${url.search}`);
    if (request.headers.authorization !== `Bearer ${token}`) return fail(403, 10000, "Authentication error");
    const rest = url.pathname.split(`/zones/${ZONE}/custom_hostnames`)[1];
    if (rest === undefined) return fail(404, 7003, "Could not route to that path");
    const { hostnames } = cloudflare;
    const id = rest.slice(1);
    switch (request.method) {
      case "POST": {
        const { hostname, ssl } = JSON.parse(body);
        if (hostnames.has(hostname)) return fail(409, 1406, "Duplicate custom hostname found.");
        if (ssl?.type !== "dv" || !["http", "txt", "email"].includes(ssl.method)) return fail(400, 1001, "Invalid ssl");
        const made = { id: `id-of-${hostname}`, hostname, status: "pending", ssl: { status: "initializing", method: ssl.method, type: "dv" } };
        hostnames.set(hostname, made);
        return good(made, 201);
      }
      case "GET": {
        if (!id) return good([...hostnames.values()].filter(({ hostname }) => hostname === url.searchParams.get("hostname")));
        const found = [...hostnames.values()].find((hostname) => hostname.id === id);
        return found ? good(found) : fail(404, 1436, "The custom hostname was not found.");
      }
      case "DELETE":
        for (const [hostname, made] of hostnames) if (made.id === id) hostnames.delete(hostname);
        return good({ id });
      default:
        return fail(405, 10405, "Method not allowed");
    }
  });
  return cloudflare;
}
