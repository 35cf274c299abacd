// Prometheus' own judge, found or unpacked by `cargo xtask test` (xtask/src/toolchain/promtool.rs).
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PROMTOOL = process.env.PROMTOOL_BIN ?? "promtool";

/** What it says of a text, which it reads from a file, or with `stdin` from there; `files` lie beside it. */
export async function promtool(args, text, files = {}, { stdin = false } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "promtool-"));
  try {
    for (const [name, contents] of Object.entries({ ...files, "judged.yml": text })) await writeFile(join(folder, name), contents);
    const child = spawn(PROMTOOL, stdin ? args : [...args, "judged.yml"], { cwd: folder });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (said += data));
    if (stdin) child.stdin.end(text);
    const code = await new Promise((resolve, reject) => child.on("close", resolve).on("error", reject));
    return { code, text: said };
  } finally {
    await rm(folder, { recursive: true });
  }
}
