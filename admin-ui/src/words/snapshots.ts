// Snapshots, in words.

const REASONS: Record<string, string> = {
  change: "Something had changed",
  stop: "Before the container stopped",
  manual: "Ordered",
  "before-restore": "Before a restore",
  "before-upgrade": "Before another version of the gateway",
};

/** Why a snapshot was taken. */
export function reasonWords(reason: string | null | undefined): string {
  return reason == null ? "Not known" : (REASONS[reason] ?? reason);
}
