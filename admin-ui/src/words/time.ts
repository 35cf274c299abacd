// Times as people say them.

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How long something lasts, in its two largest units. */
export function lasting(ms: number): string {
  const parts = [
    [Math.floor(ms / DAY), "d"],
    [Math.floor((ms % DAY) / HOUR), "h"],
    [Math.floor((ms % HOUR) / MINUTE), "min"],
    [Math.floor((ms % MINUTE) / SECOND), "s"],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return "0 s";
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

/** How long ago it was, or how soon it will be. */
export function away(at: number, now: number): string {
  const distance = Math.abs(now - at);
  if (distance < 5 * SECOND) return "now";
  // Nobody wants to read seconds that run.
  const rounded = distance < MINUTE ? Math.floor(distance / (5 * SECOND)) * 5 * SECOND : distance;
  const [most = ""] = lasting(rounded).split(/(?<=[a-z]) /);
  return at > now ? `in ${most}` : `${most} ago`;
}

/** To the second, where its reader is. */
export function exactly(at: number): string {
  return new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}
