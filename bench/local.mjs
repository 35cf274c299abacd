// A repository in this process's memory, and what a supervisor is told to find it: no Worker takes processor time from what is
// measured. Every request takes as long as one to a bucket through a Worker does.
import { createServer } from "node:http";
import { once } from "node:events";

const USER = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20";
export const PASSWORD = "a".repeat(64);
// From a container through a Worker to R2 and back.
export const REQUEST_MS = 20;

/** Serves the restic REST protocol and counts: what is read (class B), what writes or lists (class A), packs. */
export async function localRepository(requestMs = REQUEST_MS) {
  const repository = { objects: new Map(), reset: () => (repository.counts = { requests: 0, a: 0, b: 0, packs: 0, down: 0 }) };
  repository.reset();
  repository.server = createServer(async (incoming, answer) => {
    const { method } = incoming;
    const path = incoming.url.split(`/${USER}/`)[1];
    const pieces = [];
    for await (const piece of incoming) pieces.push(piece);
    if (requestMs) await new Promise((resolve) => setTimeout(resolve, requestMs));
    const { status, body, headers } = answered(repository, method, path, incoming.headers, Buffer.concat(pieces));
    repository.counts.down += body?.length ?? 0;
    answer.writeHead(status, { "content-length": body?.length ?? 0, ...headers });
    answer.end(method === "HEAD" ? undefined : body);
  });
  repository.server.listen(0, "127.0.0.1");
  await once(repository.server, "listening");
  repository.url = `http://127.0.0.1:${repository.server.address().port}/_repo/${USER}/`;
  return repository;
}

function answered({ objects, counts }, method, path, headers, content) {
  counts.requests += 1;
  if (path === "token") return { status: 200, body: Buffer.from(JSON.stringify({ token: "append-token", expires_at: Date.now() + 86_400_000 })) };
  if (path === "?create=true") return { status: 200 };
  if (path.endsWith("/")) {
    counts.a += 1;
    const names = [...objects.keys()].filter((name) => name.startsWith(path));
    const listed = names.map((name) => ({ name: name.slice(path.length), size: objects.get(name).length }));
    return { status: 200, body: Buffer.from(JSON.stringify(listed)), headers: { "content-type": "application/vnd.x.restic.rest.v2" } };
  }
  if (method === "POST") {
    counts.a += 1;
    objects.set(path, content);
    return { status: 200 };
  }
  if (method === "DELETE") return { status: objects.delete(path) ? 200 : 404 };
  counts.b += 1;
  if (path.startsWith("data/")) counts.packs += 1;
  const object = objects.get(path);
  if (!object) return { status: 404 };
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
  if (from === undefined) return { status: 200, body: object };
  return { status: 206, body: object.subarray(Number(from), to ? Number(to) + 1 : undefined) };
}

/** What a supervisor is started with to find it. */
export function environmentOf(repository) {
  return {
    MOLTBOT_USER_ID: USER,
    MOLTBOT_RUN: "7",
    MOLTBOT_CONTROL_TOKEN: "0123456789abcdef0123456789abcdef",
    MOLTBOT_INGRESS_SECRET: "5ec2e75e".repeat(4),
    MOLTBOT_ALLOWED_ORIGINS: "https://bots.example.com",
    MOLTBOT_REPOSITORY_URL: repository.url,
    MOLTBOT_REPOSITORY_TOKEN: "append-token",
    MOLTBOT_REPOSITORY_PASSWORDS: PASSWORD,
    MOLTBOT_RESTORE: "latest",
  };
}
