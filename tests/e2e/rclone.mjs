// There is no account here to copy from and to. This is an rclone that knows one remote and two ways to copy, as
// docs/recovery.md uses them, by way of the Worker: `copy r2:moltbot-data/users/<user>/repo <directory>`, and `sync` the other
// way round. WORKER and MAINTENANCE_TOKEN say where and with what.
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

const REMOTE = /^r2:moltbot-data\/users\/([0-9a-f-]{36})\/repo$/;
const KINDS = ["keys", "index", "snapshots", "data"];

const [way, from, to] = process.argv.slice(2);
const [, user] = REMOTE.exec(way === "copy" ? from : to);

async function ask(method, path, body) {
  const headers = { authorization: `Bearer ${process.env.MAINTENANCE_TOKEN}` };
  const answer = await fetch(new URL(`/_repo/${user}/${path}`, process.env.WORKER), { method, headers, body });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return Buffer.from(await answer.arrayBuffer());
}

// A repository in a directory has its packs in folders by the first two digits.
const folder = (kind, name) => (kind === "data" ? join(kind, name.slice(0, 2)) : kind);
const there = async (kind) => JSON.parse(await ask("GET", `${kind}/`));

async function here(kind) {
  const found = await readdir(join(from, kind), { recursive: true, withFileTypes: true }).catch(() => []);
  return found.filter((entry) => entry.isFile()).map(({ name }) => name);
}

if (way === "copy") {
  await mkdir(to, { recursive: true });
  await writeFile(join(to, "config"), await ask("GET", "config"));
  for (const kind of KINDS) {
    for (const name of await there(kind)) {
      await mkdir(join(to, folder(kind, name)), { recursive: true });
      await writeFile(join(to, folder(kind, name), name), await ask("GET", `${kind}/${name}`));
    }
  }
} else if (way === "sync") {
  for (const kind of KINDS) {
    const [wanted, found] = [await here(kind), await there(kind)];
    for (const name of found.filter((name) => !wanted.includes(name))) await ask("DELETE", `${kind}/${name}`);
    for (const name of wanted.filter((name) => !found.includes(name))) {
      await ask("POST", `${kind}/${name}`, await readFile(join(from, folder(kind, name), name)));
    }
  }
} else throw new Error(`no such way to copy: ${way}`);
