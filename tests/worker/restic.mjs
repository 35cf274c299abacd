// The stock restic as a program of its own, against a running Worker or a directory.
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readFile, readdir, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";

const program = process.env.RESTIC_BIN ?? "restic";

/** A directory that is gone when the test is over. */
export async function scratch(t) {
  const dir = await mkdtemp(join(tmpdir(), "moltworker-restic-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** Where restic finds a repository behind the Worker. */
export function address(base, user, token) {
  const url = new URL(`/_repo/${user}/`, base);
  url.username = "anybody";
  url.password = token;
  return `rest:${url}`;
}

/** One repository, as one person at a machine sees it. */
export class Restic {
  constructor(dir, repository, password) {
    Object.assign(this, { dir, repository, password });
  }
  start(...args) {
    // Secrets travel in the environment; nothing of the machine's own gets in.
    const env = { PATH: process.env.PATH, HOME: this.dir, RESTIC_REPOSITORY: this.repository, RESTIC_PASSWORD: this.password, RESTIC_CACHE_DIR: join(this.dir, "cache") };
    const child = spawn(program, args, { env, cwd: this.dir, stdio: ["ignore", "pipe", "pipe"] });
    const run = { child, stdout: "", stderr: "" };
    child.stdout.on("data", (data) => (run.stdout += data));
    child.stderr.on("data", (data) => (run.stderr += data));
    run.ended = once(child, "close").then(([code, signal]) => ({ code: code ?? signal, stdout: run.stdout, stderr: run.stderr }));
    return run;
  }
  /** What it printed; an error when it failed. */
  async run(...args) {
    const { code, stdout, stderr } = await this.start(...args).ended;
    if (code !== 0) throw new Error(`restic ${args[0]} ended with ${code}:\n${stdout}\n${stderr}`);
    return stdout;
  }
  async fails(...args) {
    const ended = await this.start(...args).ended;
    if (ended.code === 0) throw new Error(`restic ${args[0]} succeeded:\n${ended.stdout}`);
    return ended.stderr;
  }
  async snapshots() {
    return JSON.parse(await this.run("snapshots", "--json"));
  }
}

/** A small home with what homes have: a big file, many small ones, empty ones, links, odd names. */
export async function makeHome(dir, { big = 20 << 20, small = 200 } = {}) {
  await mkdir(join(dir, "workspace/.git/objects/ab"), { recursive: true });
  await writeFile(join(dir, "big.bin"), randomBytes(big));
  await writeFile(join(dir, "workspace/.git/objects/ab/cdef"), randomBytes(500));
  await writeFile(join(dir, "empty"), "");
  await writeFile(join(dir, "ünïcode name.json"), "{}");
  await symlink("../big.bin", join(dir, "workspace/link"));
  for (let i = 0; i < small; i += 1) await writeFile(join(dir, `workspace/note-${i}.md`), randomBytes(1_000).toString("hex"));
  return dir;
}

/** Every file below a directory with the digest of its bytes, every link with its target. */
export async function inventory(dir, below = "") {
  const found = {};
  for (const entry of await readdir(join(dir, below), { withFileTypes: true })) {
    const path = join(below, entry.name);
    if (entry.isDirectory()) Object.assign(found, { [`${path}/`]: "directory" }, await inventory(dir, path));
    else if (entry.isSymbolicLink()) found[path] = `-> ${await readlink(join(dir, path))}`;
    else found[path] = createHash("sha256").update(await readFile(join(dir, path))).digest("hex");
  }
  return found;
}
