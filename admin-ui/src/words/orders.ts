// Orders to many bots, in words.
import type { BulkFilter, BulkOutcome, BulkVerb } from "../api/client";
import { STATES, type Tone } from "./states";

export const VERBS: Record<BulkVerb, { name: string; consequences: string; destroys?: boolean }> = {
  snapshot: { name: "Take snapshot", consequences: "The home of each bot that runs is saved as it is. Others are skipped." },
  restart: { name: "Restart", consequences: "The gateway of each bot starts afresh. Whoever talks to one is interrupted for about half a minute." },
  sleep: { name: "Put to sleep", consequences: "Each home is saved, then its container ends. The owners' next requests wake them." },
  stop: { name: "Stop", consequences: "Each home is saved, then its container ends. Nothing wakes these bots until somebody starts them again.", destroys: true },
  suspend: { name: "Suspend", consequences: "Each container ends. The owners cannot use these bots, and are told so, until an admin lets them run again. What is saved stays.", destroys: true },
  resume: { name: "Let run again", consequences: "Bots that are stopped or suspended may run again. Others are skipped." },
};

/** A Worker that is newer than this page may know of more orders. */
export function verbName(verb: BulkVerb): string {
  return VERBS[verb]?.name ?? verb;
}

export const OUTCOMES: Record<BulkOutcome, { name: string; tone: Tone }> = {
  done: { name: "Done", tone: "good" },
  skipped: { name: "Skipped", tone: "rest" },
  refused: { name: "Refused", tone: "watch" },
  failed: { name: "Failed", tone: "bad" },
  stopped: { name: "Not ordered", tone: "rest" },
};

export function filterWords({ state, health, search }: BulkFilter): string {
  const parts = [state && `state ${STATES[state].name.toLowerCase()}`, health && `health ${health}`, search && `owner begins with “${search}”`].filter(Boolean);
  return parts.length === 0 ? "every bot" : `every bot with ${parts.join(", ")}`;
}
