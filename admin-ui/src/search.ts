// What an address of the list of bots may ask for, beside its path.
import type { BotState, Health } from "./api/client";

export const SORTS = ["user", "active", "since", "snapshot"] as const;
export const HEALTHS = ["healthy", "unhealthy", "unknown"] as const;

export interface BotsSearch {
  state?: BotState;
  health?: Health;
  search?: string;
  sort?: (typeof SORTS)[number];
}
