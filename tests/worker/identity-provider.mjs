// The local identity provider of `cargo xtask dev`, alone: what the real one answers, rotation and reuse included.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Runs it until the test is over; answers `{ supabaseUrl, anonKey, jwtSecret, users }`. */
export async function startIdentityProvider(t, ...options) {
  const keys = await mkdtemp(join(tmpdir(), "moltworker-identity-"));
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const child = spawn("cargo", ["xtask", "identity", "--port", "0", "--keys", keys, ...options], { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  const said = [];
  createInterface(child.stderr).on("line", (line) => said.push(line));
  const ended = once(child, "exit");
  t.after(async () => {
    child.kill("SIGTERM");
    await ended;
    await rm(keys, { recursive: true, force: true });
  });
  const [line] = await Promise.race([once(createInterface(child.stdout), "line"), ended.then(() => [])]);
  if (typeof line !== "string") throw new Error(`the identity provider did not start:\n${said.join("\n")}`);
  return JSON.parse(line);
}

/** What the Worker is told about it. */
export function settingsFor({ supabaseUrl, anonKey, jwtSecret }) {
  return { SUPABASE_URL: supabaseUrl, SUPABASE_ANON_KEY: anonKey, SUPABASE_JWT_SECRET: jwtSecret };
}
