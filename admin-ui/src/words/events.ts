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

/** Every kind by its name, for a list to choose from. */
export const KIND_NAMES: Record<string, string> = KINDS;

/** What leaves an event each time somebody looks, this page among them. */
export const LOOK = "inspected";

export function eventWords({ kind, action }: Event): string {
  const words = KINDS[kind] ?? kind;
  return action === null || !["ordered", "changed", "inspected", "refused"].includes(kind) ? words : `${words}: ${action}`;
}

/** Whether an event is what a filter asks for; looks only where it asks for them. */
export function eventMatches(event: Event, { search, kind, looks }: { search?: string; kind?: string; looks?: boolean }): boolean {
  if (kind !== undefined ? event.kind !== kind : event.kind === LOOK && looks !== true) return false;
  if (search === undefined) return true;
  const wanted = search.toLowerCase();
  const texts = [event.actor, event.user_id, event.action, event.detail, event.code, event.address, event.request_id, eventWords(event)];
  return texts.some((text) => text?.toLowerCase().includes(wanted));
}

export function actorWords(actor: string, me: string): string {
  if (actor === me) return "you";
  return actor.length === 36 ? `admin ${actor.slice(0, 8)}…` : actor;
}
