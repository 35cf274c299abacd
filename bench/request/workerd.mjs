// workerd as a process of its own with a configuration of its own. Nothing of miniflare is in it: its proxy, its entry
// Worker and its limits in Durable Objects would be most of what is counted.
import { spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { readFileSync, readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { dirname, extname, join } from "node:path";
import workerd from "workerd";

const root = new URL("../../", import.meta.url);
const wrangler = await readFile(new URL("wrangler.toml", root), "utf8");
const compatibilityDate = /^compatibility_date = "(.+)"$/m.exec(wrangler)[1];

/** The header in which a request brings its `cf` object, as from Cloudflare's front. */
export const CF_HEADER = "CF-Blob";

const MODULE_TYPES = { ".js": "esModule", ".mjs": "esModule", ".txt": "text", ".wasm": "wasm" };

/**
 * Runs a Worker; `modules` are paths in this repository, the first of them is the main one. `inspected`: a debugger may
 * come in, at the port that is told.
 */
export async function startWorkerd(t, { modules, upstream, bindings = {}, inspected = false }) {
  const dir = await mkdtemp(join(tmpdir(), "moltworker-bench-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  // A configuration embeds nothing from outside its own folder.
  for (const path of modules) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await cp(new URL(path, root), join(dir, path));
  }
  await mkdir(join(dir, "storage"));
  await writeFile(join(dir, "config.capnp"), configuration(modules, upstream, bindings));
  const args = ["serve", "config.capnp", "--control-fd=3", ...(inspected ? ["--inspector-addr=127.0.0.1:0"] : [])];
  const child = spawn(workerd.default ?? workerd, args, {
    cwd: dir,
    // Set LOG=1 to see what the Worker logs.
    stdio: ["ignore", process.env.LOG ? "inherit" : "ignore", "inherit", "pipe"],
  });
  t.after(async () => {
    child.kill("SIGKILL");
    await once(child, "close");
  });
  const ended = once(child, "exit").then(() => Promise.reject(new Error("workerd has ended")));
  ended.catch(() => {});
  const ports = {};
  const told = (async () => {
    for await (const line of createInterface({ input: child.stdio[3] })) {
      const { event, port } = JSON.parse(line);
      ports[event] = port;
      if (ports.listen && (ports["listen-inspector"] || !inspected)) return;
    }
  })();
  await Promise.race([told, ended]);
  return { pid: child.pid, port: ports.listen, inspector: ports["listen-inspector"] };
}

function configuration(modules, upstream, bindings) {
  const text = JSON.stringify;
  const module = (path) => `(name = ${text(path)}, ${MODULE_TYPES[extname(path)]} = embed ${text(path)})`;
  const variables = Object.entries(bindings).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`);
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [${modules.map(module).join(", ")}],
      compatibilityDate = ${text(compatibilityDate)},
      durableObjectNamespaces = [(className = "Sandbox", uniqueKey = "Sandbox", enableSql = true, preventEviction = true)],
      durableObjectStorage = (localDisk = "storage"),
      bindings = [
        (name = "SANDBOX", durableObjectNamespace = "Sandbox"),
        (name = "UPSTREAM", service = "upstream"),
        ${variables.join(",\n        ")}
      ],
      globalOutbound = "outside"
    )),
    (name = "storage", disk = (path = "storage", writable = true)),
    (name = "upstream", external = (address = ${text(`127.0.0.1:${upstream}`)}, http = ())),
    (name = "outside", network = (allow = ["private", "public"]))
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (cfBlobHeader = ${text(CF_HEADER)}), service = "main")]
);
`;
}

/**
 * Time on a core of all of a process's threads, in microseconds. It is what `/proc/<pid>/stat` says as user and system
 * time, which comes in hundredths of a second: too coarse for rounds that are short enough to meet the same machine.
 */
export function cpuMicroseconds(pid) {
  const threads = readdirSync(`/proc/${pid}/task`).map((id) => readFileSync(`/proc/${pid}/task/${id}/schedstat`, "utf8"));
  return threads.reduce((sum, text) => sum + Number(text.split(" ")[0]), 0) / 1_000;
}
