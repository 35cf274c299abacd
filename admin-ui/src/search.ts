// What an address of the list of bots may ask for, beside its path.
import type { BotState, Health } from "./api/client";

export const SORTS = ["user", "active", "since", "snapshot"] as const;
export const HEALTHS = ["healthy", "unhealthy", "unknown"] as const;

/** What is shown of a bot. */
export const BOT_PARTS = ["state", "charts", "log", "snapshots", "costs", "events"] as const;
export type BotPart = (typeof BOT_PARTS)[number];

export interface AuditSearch {
  search?: string;
  kind?: string;
  looks?: boolean;
}

export interface BotsSearch {
  state?: BotState;
  health?: Health;
  search?: string;
  sort?: (typeof SORTS)[number];
}
