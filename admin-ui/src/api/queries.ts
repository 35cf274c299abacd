// What the pages read, and how often they look again. Whoever looks at a bot leaves an event of it, once a minute at most.
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { document, type Api, type BotState, type Health } from "./client";

const SECOND = 1_000;
/** One bot, while something happens to it. */
const LIVELY = 3 * SECOND;
/** One bot that rests, and lists. */
const CALM = 15 * SECOND;
/** What changes with cron, once a minute. */
const SLOW = 30 * SECOND;
/** Pages of the fleet that are counted, of a hundred bots each. */
export const MAX_COUNTED_PAGES = 20;

const PASSING: BotState[] = ["starting", "restoring", "stopping", "unhealthy"];

export interface FleetFilter {
  state?: BotState | undefined;
  health?: Health | undefined;
  search?: string | undefined;
  sort?: "user" | "active" | "since" | "snapshot" | undefined;
}

/** A query without what is not asked for: the platform takes no empty names. */
function given<T extends object>(query: T) {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined && value !== "")) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

export function platformHealth(api: Api) {
  return queryOptions({
    queryKey: ["health"],
    queryFn: async ({ signal }) => document(await api.GET("/api/admin/health", { params: { query: { status: "200" } }, signal })),
    refetchInterval: SLOW,
  });
}

export function fleet(api: Api, filter: FleetFilter, cursor: string | undefined) {
  return queryOptions({
    queryKey: ["bots", filter, cursor],
    queryFn: async ({ signal }) => document(await api.GET("/api/admin/bots", { params: { query: given({ ...filter, cursor }) }, signal })),
    refetchInterval: CALM,
    placeholderData: keepPreviousData,
  });
}

export interface FleetCounts {
  total: number;
  states: Partial<Record<BotState, number>>;
  troubled: number;
  /** There are more bots than were counted. */
  more: boolean;
  oldestSnapshot: number | null;
}

/** Counts the fleet page by page: the API has no counts of its own yet. */
export function fleetCounts(api: Api) {
  return queryOptions({
    queryKey: ["fleet-counts"],
    queryFn: async ({ signal }) => {
      const counts: FleetCounts = { total: 0, states: {}, troubled: 0, more: false, oldestSnapshot: null };
      let cursor: string | undefined;
      for (let page = 0; page < MAX_COUNTED_PAGES; page += 1) {
        const { bots, next } = document(await api.GET("/api/admin/bots", { params: { query: given({ cursor }) }, signal }));
        for (const bot of bots) {
          counts.total += 1;
          counts.states[bot.state] = (counts.states[bot.state] ?? 0) + 1;
          if (bot.incidents.length > 0) counts.troubled += 1;
          if (bot.snapshot_at !== null) counts.oldestSnapshot = Math.min(bot.snapshot_at, counts.oldestSnapshot ?? bot.snapshot_at);
        }
        counts.more = next !== null;
        if (next === null) break;
        cursor = next;
      }
      return counts;
    },
    refetchInterval: SLOW,
  });
}

export function bot(api: Api, user: string) {
  return queryOptions({
    queryKey: ["bot", user],
    queryFn: async ({ signal }) => document(await api.GET("/api/admin/bots/{user}", { params: { path: { user } }, signal })),
    refetchInterval: ({ state }) => (state.data && PASSING.includes(state.data.state) ? LIVELY : CALM),
  });
}

export function user(api: Api, id: string) {
  return queryOptions({
    queryKey: ["user", id],
    queryFn: async ({ signal }) => document(await api.GET("/api/admin/users/{user}", { params: { path: { user: id } }, signal })),
    staleTime: 5 * 60 * SECOND,
  });
}

export function snapshots(api: Api, user: string) {
  return infiniteQueryOptions({
    queryKey: ["bot", user, "snapshots"],
    queryFn: async ({ signal, pageParam }) =>
      document(await api.GET("/api/admin/bots/{user}/snapshots", { params: { path: { user }, query: given({ after: pageParam }) }, signal })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    refetchInterval: SLOW,
  });
}

export function events(api: Api, user: string) {
  return infiniteQueryOptions({
    queryKey: ["bot", user, "events"],
    queryFn: async ({ signal, pageParam }) =>
      document(await api.GET("/api/admin/bots/{user}/events", { params: { path: { user }, query: given({ before: pageParam }) }, signal })),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    refetchInterval: CALM,
  });
}

export function incidents(api: Api, state: "open" | "closed", subject?: string) {
  return infiniteQueryOptions({
    queryKey: ["incidents", state, subject],
    queryFn: async ({ signal, pageParam }) =>
      document(await api.GET("/api/admin/incidents", { params: { query: given({ state, subject, before: pageParam }) }, signal })),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    refetchInterval: CALM,
  });
}

export function mutes(api: Api) {
  return queryOptions({
    queryKey: ["mutes"],
    queryFn: async ({ signal }) => document(await api.GET("/api/admin/alerts/mutes", { signal })),
    refetchInterval: SLOW,
  });
}
