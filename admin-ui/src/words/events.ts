// The history, in words.
import type { Event } from "../api/client";

const KINDS: Record<string, string> = {
  started: "Started",
  ready: "Ready",
  slept: "Went to sleep",
  killed: "Was killed",
  died: "Died",
  "shut-down": "Was shut down",
  "start-failed": "Start failed",
  unhealthy: "Became unhealthy",
  healed: "Recovered",
  outlived: "Processes outlived the gateway",
  replaced: "Container replaced",
  "crash-looped": "Left alone after a crash loop",
  "made-available": "Made available",
  stopped: "Stopped",
  suspended: "Suspended",
  "no-capacity": "No place to wake in",
  ordered: "Order",
  restored: "Home restored",
  "restore-failed": "Restore failed",
  "snapshot-suspicious": "Suspicious snapshot",
  "passed-over": "Newer snapshot passed over",
  "content-gone": "Content gone",
  "database-not-copied": "Database stored as a file",
  "backup-failed": "Snapshot failed",
  "backup-overdue": "Snapshot overdue",
  "backup-resumed": "Snapshots work again",
  "changes-lost": "Changes lost",
  maintained: "Repository maintained",
  "maintenance-failed": "Maintenance failed",
  "repository-damaged": "Repository damaged",
  inspected: "Looked at",
  changed: "Changed",
  refused: "Refused",
  "signed-in": "Signed in",
  "signed-out": "Signed out",
};

/** What leaves an event each time somebody looks, this page among them. */
export const LOOK = "inspected";

export function eventWords({ kind, action }: Event): string {
  const words = KINDS[kind] ?? kind;
  return action === null || !["ordered", "changed", "inspected", "refused"].includes(kind) ? words : `${words}: ${action}`;
}

export function actorWords(actor: string, me: string): string {
  if (actor === me) return "you";
  return actor.length === 36 ? `admin ${actor.slice(0, 8)}…` : actor;
}
