// A bot's state, its costs and its snapshots as one tells its owner.
import type { BotState, BotStatus, IncidentKind, Snapshot } from "../api/client";
import { restoreNews, snapshotNews } from "../words/restore";
import { incidentWords, PHASES, sentence, share, size, stateWords, type Explanation } from "../words/states";
import { away, exactly, lasting } from "../words/time";

const MEANS: Record<BotState, string> = {
  running: "It answers.",
  asleep: "It wakes up when you open it, and costs nothing but its storage until then.",
  starting: "It is starting.",
  restoring: "Its files are being brought back from a snapshot.",
  stopping: "It saves what has changed and goes to sleep.",
  unhealthy: "It is up and does not answer; it is being brought back by itself.",
  "backing-off": "Its last start failed. It is tried again by itself.",
  "crash-looped": "It failed again and again and is left alone for now. Nothing of what is saved is lost.",
  stopped: "It was stopped. Nothing wakes it until you start it.",
  suspended: "An administrator suspended it. What is saved stays.",
};

/** Of one that may not start any more this month. */
const SPENT = "It has cost what it may this month. It does not wake until the next month begins or its limit is raised.";
const SPENT_NEXT = "Ask your administrator for a higher limit, or wait for the next month.";
/** States whose next start is refused over the limit. */
const STARTED_NEXT: BotState[] = ["asleep", "backing-off", "crash-looped"];

/** Whether it has cost what it may, so that nothing wakes it. */
export function isSpent({ state, incidents = [] }: Pick<BotStatus, "state" | "incidents">): boolean {
  return STARTED_NEXT.includes(state) && incidents.includes("spend-over-limit");
}

/** What to do, where there is something. */
const NEXT: Partial<Record<BotState, string>> = {
  unhealthy: "Wait two minutes: most come back by themselves. If it does not, restart it.",
  "crash-looped": "Read the reason. Restart it, or restore a snapshot from before it began to fail.",
  suspended: "Ask your administrator.",
};

export function explainOwn(status: BotStatus, now: number): Explanation {
  const { name, tone } = stateWords(status.state);
  const spent = isSpent(status);
  const because: string[] = [];
  if (status.reason) because.push(sentence(status.reason));
  if (status.phase !== undefined) because.push(sentence(PHASES[status.phase] ?? status.phase));
  const progress = status.restoring ?? status.under_way;
  if (progress?.total) because.push(`${share(progress.done.bytes, progress.total.bytes)} done.`);
  if (status.retry_at !== undefined && !spent) because.push(status.retry_at > now ? `It is tried again ${away(status.retry_at, now)}.` : "It is tried again when you open it.");
  if (status.pinned) because.push("It stays awake when nobody uses it, because you want that.");
  const news = restoreNews(status, "your bot") ?? snapshotNews(status);
  if (news?.isBad) because.push(`${news.title}: ${news.about}`);
  for (const kind of status.incidents ?? []) if (!SHOWN_ELSEWHERE.includes(kind) && !(spent && kind === "spend-over-limit")) because.push(sentence(incidentWords(kind)));
  const next = spent ? SPENT_NEXT : NEXT[status.state];
  const hurt = (status.incidents?.length ?? 0) > 0 && tone !== "bad";
  // A Worker that is newer than this page may know of more states.
  return { tone: hurt ? "watch" : tone, headline: `${name}. ${spent ? SPENT : (MEANS[status.state] ?? "")}`, because, ...(next !== undefined && { next }) };
}

/** What the page says in a place of its own. */
const SHOWN_ELSEWHERE: IncidentKind[] = ["passed-over", "spend-near-limit"];

/** Money, as people say it. */
export function dollars(micro: number): string {
  const amount = micro / 1_000_000;
  return amount > 0 && amount < 0.01 ? "less than $0.01" : `$${amount.toFixed(2)}`;
}

/** When a snapshot was taken, to tell it from others. */
export function takenAt(snapshot: Pick<Snapshot, "taken_at" | "stored_at">): number {
  return snapshot.taken_at ?? snapshot.stored_at;
}

/** What a restore replaces by what, before it is confirmed. */
export function replacedWords(snapshot: Snapshot, status: BotStatus | undefined, now: number): { replaced: string; by: string } {
  const newest = status?.backups?.newest;
  const unsaved = status?.backups?.unsaved_since;
  const have =
    unsaved == null
      ? `What your bot has now${newest ? `, as it was saved ${away(newest.at, now)}` : ""}`
      : `What your bot has now, with the changes of the last ${lasting(Math.max(60_000, now - unsaved))}`;
  const amount = snapshot.files === undefined || snapshot.bytes === undefined ? "" : `: ${snapshot.files.toLocaleString()} files, ${size(snapshot.bytes)}`;
  return {
    replaced: `${have}. All of its home: chats, memory, settings and keys.`,
    by: `The home of ${exactly(takenAt(snapshot))} (${away(takenAt(snapshot), now)})${amount}.`,
  };
}

/** Why a snapshot was taken, for people. */
export function reasonWords(reason: string | null | undefined): string {
  const known: Record<string, string> = {
    change: "after changes",
    stop: "before it went to sleep",
    manual: "because somebody asked for it",
    "before-restore": "before a restore",
    "before-upgrade": "before an upgrade",
  };
  return reason ? (known[reason] ?? reason.replaceAll("-", " ")) : "not known";
}
