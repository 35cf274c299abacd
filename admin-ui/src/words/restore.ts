// What a restore does to a bot, before it is ordered and while it is waited for: on the owner's page and in the admin UI.
import type { BotState, BotStatus } from "../api/client";
import { sentence, share } from "./states";

type Of = Pick<BotStatus, "state" | "backups" | "retry_at" | "restoring">;

/** States in which a container holds a home that can be saved. */
const HAS_HOME: BotState[] = ["running", "unhealthy", "starting", "restoring", "stopping"];
/** States that somebody has to end before anything is restored. */
const ENDED_BY_HAND: BotState[] = ["stopped", "suspended"];

/** One that is left alone with no time for its next start still has its container. */
function hasHome({ state, retry_at }: Of): boolean {
  return HAS_HOME.includes(state) || (state === "crash-looped" && retry_at === undefined);
}

export interface RestoreWords {
  /** The way back. */
  back: string;
  /** What happens, and when. */
  course: string;
  /** What is said once it was ordered. */
  done: string;
}

/** Told of `bot`, "your bot" or "the bot", before a restore is ordered. */
export function restoreWords(status: Of, bot: string): RestoreWords {
  const named = `${bot.charAt(0).toUpperCase()}${bot.slice(1)}`;
  if (hasHome(status)) {
    const { trouble } = status.backups ?? {};
    return trouble
      ? {
          back: "What there is now is saved first, as soon as that can be done again; the restore waits for that.",
          course: `Nothing can be saved right now: ${sentence(trouble.reason)} Then ${bot} is gone for about a minute.`,
          done: "The restore is ordered. It waits until what there is now can be saved.",
        }
      : {
          back: "What there is now is saved first and held for thirty days: restore that snapshot.",
          course: `${named} is gone for about a minute meanwhile, and what it is doing is interrupted.`,
          done: "The restore was begun.",
        };
  }
  const back = status.backups?.newest ? "The newest snapshot is held for thirty days: restore that one." : "There is no snapshot of what there was.";
  return ENDED_BY_HAND.includes(status.state)
    ? {
        back,
        course: `Nothing happens before ${bot} is started again: its next start makes the home of this snapshot.`,
        done: `The restore is ordered. It happens when ${bot} is started.`,
      }
    : { back, course: `${named} wakes for it, which takes about a minute.`, done: "The restore was begun." };
}

export interface News {
  title: string;
  about: string;
  /** Somebody should look at it. */
  isBad: boolean;
}

/** How far a restore is that was ordered; nothing where none was. */
export function restoreNews(status: Of, bot: string): News | undefined {
  const { restore_wanted: wanted, trouble } = status.backups ?? {};
  if (!wanted) return undefined;
  const which = wanted === "latest" ? "The newest snapshot" : `Snapshot ${wanted.snapshot.slice(0, 10)}`;
  if (ENDED_BY_HAND.includes(status.state)) return { title: `${which} waits to be restored`, about: `It is restored when ${bot} is started.`, isBad: false };
  if (trouble) return { title: `The restore of a snapshot ${trouble.held_up ? "is held up" : "failed"}`, about: `${sentence(trouble.reason)} It is tried again by itself.`, isBad: true };
  const total = status.restoring?.total;
  return {
    title: `${which} is being restored`,
    about: total ? `${share(status.restoring?.done.bytes ?? 0, total.bytes)} done.` : "This takes up to some minutes; you can leave this page.",
    isBad: false,
  };
}

/** What else is being done with a bot's snapshots, or why it cannot be; nothing where there is nothing to say. */
export function snapshotNews({ backups, under_way: job }: Pick<BotStatus, "backups" | "under_way">): News | undefined {
  const trouble = backups?.trouble;
  if (trouble) {
    const what = trouble.doing === "snapshot" ? "The last snapshot" : trouble.doing === "restore" ? "The last restore" : "The last work on the snapshots";
    return { title: `${what} ${trouble.held_up ? "is held up" : "failed"}`, about: `${sentence(trouble.reason)} It is tried again by itself.`, isBad: true };
  }
  if (job?.doing !== "snapshot") return undefined;
  return { title: "A snapshot is being taken", about: job.total ? `${share(job.done.bytes, job.total.bytes)} done.` : "It appears here when it is stored.", isBad: false };
}
