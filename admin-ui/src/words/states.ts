// What a bot's state means, why it is in it, and what to do, in plain words.
import type { BotState, BotStatus, IncidentKind, Rule } from "../api/client";
import { away, lasting } from "./time";

/** How a state is to be taken: good, at rest, passing, worth a look, bad. */
export type Tone = "good" | "rest" | "passing" | "watch" | "bad";

export const STATES: Record<BotState, { name: string; tone: Tone; means: string }> = {
  running: { name: "Running", tone: "good", means: "It answers." },
  asleep: { name: "Asleep", tone: "rest", means: "It sleeps; its owner's next request wakes it." },
  starting: { name: "Starting", tone: "passing", means: "It is starting." },
  restoring: { name: "Restoring", tone: "passing", means: "Its home is being brought back from a snapshot." },
  stopping: { name: "Stopping", tone: "passing", means: "It is saving its home and going to sleep." },
  unhealthy: { name: "Unhealthy", tone: "bad", means: "It is up and does not answer; its supervisor restarts the gateway." },
  "backing-off": { name: "Backing off", tone: "watch", means: "Its last start failed; the next one waits." },
  "crash-looped": { name: "Crash loop", tone: "bad", means: "It failed again and again and is left alone." },
  stopped: { name: "Stopped", tone: "rest", means: "It was stopped; nothing wakes it until it is started." },
  suspended: { name: "Suspended", tone: "watch", means: "An admin suspended it; nothing wakes it." },
};

/** A Worker that is newer than this page may know of more states. */
export function stateWords(state: BotState): { name: string; tone: Tone; means: string } {
  return STATES[state] ?? { name: state, tone: "rest", means: "This page does not know that state: reload it." };
}

export const ALL_STATES = Object.keys(STATES) as BotState[];

/** By its kind, as text: a Worker that is newer than this page may know of more. */
const INCIDENTS: Record<string, string> = {
  "backup-overdue": "changes wait for a snapshot",
  "backup-failing": "snapshots fail",
  "restore-failing": "the home cannot be restored",
  "maintenance-failing": "the repository cannot be maintained",
  "snapshot-suspicious": "a snapshot lost more than it should",
  "passed-over": "a start passed over a newer snapshot",
  "database-not-copied": "a database is stored as a plain file",
  "repository-damaged": "the repository is damaged",
  "drill-failing": "its snapshots could not be restored in a drill",
  "out-of-memory": "it ran out of memory",
  "spend-near-limit": "it has nearly cost what it may",
  "spend-over-limit": "it has cost more than it may",
  "no-capacity": "no place was free to wake in",
  unknown: "something a newer version knows of",
};

/** What is wrong, in a few words. */
export function incidentWords(kind: IncidentKind): string {
  return INCIDENTS[kind] ?? kind.replaceAll("-", " ");
}

export const PHASES = {
  allocating: "a machine is being found",
  restoring: "the home is being brought back",
  "starting-gateway": "the gateway is starting",
  "restarting-gateway": "the gateway ended while starting and starts again",
} as const;

export interface Explanation {
  tone: Tone;
  /** What it is. */
  headline: string;
  /** Why, and how far it is; perhaps nothing. */
  because: string[];
  /** What somebody might do; nothing where there is nothing to do. */
  next?: string;
}

/** A bot's state as one would tell a colleague. */
export function explain(status: BotStatus, now: number): Explanation {
  const { name, tone, means } = stateWords(status.state);
  const because: string[] = [];
  if (status.reason !== undefined && status.reason !== "") because.push(sentence(status.reason));
  if (status.phase !== undefined) because.push(sentence(PHASES[status.phase] ?? status.phase));
  const progress = status.restoring ?? status.under_way;
  if (progress?.total) because.push(`${share(progress.done.bytes, progress.total.bytes)} done.`);
  if (status.failures > 0) because.push(status.failures === 1 ? "One run failed since the last stable one." : `${status.failures} runs failed since the last stable one.`);
  if (status.retry_at !== undefined) because.push(status.retry_at > now ? `It may start again ${away(status.retry_at, now)}.` : "The next request starts it again.");
  if (status.state === "running" && status.idle_ms !== undefined) because.push(status.idle_ms < 60_000 ? "Its owner is using it." : `Its owner was last here ${lasting(status.idle_ms)} ago.`);
  if (status.pinned) because.push("It is pinned: never put to sleep for being idle.");
  if (status.backups?.trouble) because.push(sentence(status.backups.trouble.reason));
  const next = nextStep(status);
  const hurt = (status.incidents?.length ?? 0) > 0 && tone !== "bad";
  return { tone: hurt ? "watch" : tone, headline: `${name}. ${means}`, because, ...(next !== undefined && { next }) };
}

function nextStep({ state, backups }: BotStatus): string | undefined {
  if (backups?.choice) return "A start passed over newer snapshots. Ask its owner which home they want: the one they have now, or the newest snapshot.";
  switch (state) {
    case "unhealthy":
      return "Wait two minutes: most come back by themselves. If it does not, look into the log and restart it.";
    case "backing-off":
      return "Nothing, if it starts by itself. If the same reason comes again, look into its events.";
    case "crash-looped":
      return "Read the reason here and the newest events; mend the cause or restore an older snapshot, then restart it.";
    case "suspended":
      return "Start it when its owner may use it again.";
    default:
      return undefined;
  }
}

/** With a capital letter and a full stop. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  const capital = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

export function share(done: number, total: number): string {
  return `${total > 0 ? Math.min(100, Math.floor((done / total) * 100)) : 0}%`;
}

/** Bytes, in the unit that makes them short. */
export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  const amount = bytes / 1_000 ** power;
  return `${amount >= 100 || power === 0 ? Math.round(amount) : amount.toFixed(1)} ${units[power] ?? ""}`;
}

/** Whether incidents of this rule are about a bot. */
export function isOfBots(subject: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(subject);
}

/** A rule's name, as a heading. */
export function ruleName(rule: Rule): string {
  return sentence(rule.replaceAll("-", " ")).slice(0, -1);
}
