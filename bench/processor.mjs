// Part of a processor, as containers get it: a control group with a quota, of version 1 or 2.
import { mkdirSync, rmdirSync, writeFileSync, existsSync } from "node:fs";
import { join } from "node:path";

const PERIOD_US = 100_000;
const HIERARCHIES = [
  { root: "/sys/fs/cgroup/cpu", is: "cpu.cfs_quota_us", limit: (dir, quota) => {
    writeFileSync(join(dir, "cpu.cfs_period_us"), `${PERIOD_US}`);
    writeFileSync(join(dir, "cpu.cfs_quota_us"), `${quota}`);
  } },
  { root: "/sys/fs/cgroup", is: "cgroup.controllers", limit: (dir, quota) => writeFileSync(join(dir, "cpu.max"), `${quota} ${PERIOD_US}`) },
];

/** A group of so much of one processor; what is started in it and what that starts share it. `null` where none can be made. */
export function share(part) {
  const { root, limit } = HIERARCHIES.find(({ root, is }) => existsSync(join(root, is))) ?? {};
  if (!root) return null;
  const dir = join(root, `moltworker-bench-${process.pid}`);
  try {
    mkdirSync(dir);
    limit(dir, Math.round(part * PERIOD_US));
  } catch {
    try { rmdirSync(dir); } catch { /* none was made */ }
    return null;
  }
  return {
    /** The command that starts a program in it. */
    within: (program, args) => ["sh", ["-c", 'echo $$ > "$0" && exec "$@"', join(dir, "cgroup.procs"), program, ...args]],
    remove: () => rmdirSync(dir),
  };
}
