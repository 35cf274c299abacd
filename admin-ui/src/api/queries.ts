// What the pages read, and how often they look again. Whoever looks at a bot leaves an event of it, once a minute at most.
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { document, type Api, type BotState, type BulkOutcome, type Health } from "./client";
import { inSnapshot } from "./in-snapshot";

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

/** Pages up to which a list is kept up to date by itself: each is asked for anew. */
const MAX_LIVE_PAGES = 3;

export function fleet(api: Api, filter: FleetFilter) {
  return infiniteQueryOptions({
    queryKey: ["bots", filter],
    queryFn: async ({ signal, pageParam }) =>
      document(await api.GET("/api/admin/bots", { params: { query: given({ ...filter, cursor: pageParam }) }, signal })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) > MAX_LIVE_PAGES ? false : CALM),
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

export function users(api: Api) {
  return infiniteQueryOptions({
    queryKey: ["users"],
    queryFn: async ({ signal, pageParam }) => document(await api.GET("/api/admin/users", { params: { query: given({ after: pageParam }) }, signal })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
  });
}

/** Users by their bots: the list of users has no search of its own. */
export function usersByBot(api: Api, search: string) {
  return queryOptions({
    queryKey: ["users", "search", search],
    queryFn: async ({ signal }) => document(await api.GET("/api/admin/bots", { params: { query: { search } }, signal })).bots,
    enabled: search !== "",
  });
}

export function domains(api: Api, user: string) {
  return queryOptions({
    queryKey: ["user", user, "domains"],
    queryFn: async ({ signal }) => document(await api.GET("/api/admin/users/{user}/domains", { params: { path: { user } }, signal })).domains,
    refetchInterval: SLOW,
  });
}

export function invitations(api: Api) {
  return queryOptions({
    queryKey: ["invitations"],
    queryFn: async ({ signal }) => document(await api.GET("/api/admin/invitations", { signal })).invitations,
  });
}

export function allowList(api: Api) {
  return queryOptions({
    queryKey: ["allow-list"],
    queryFn: async ({ signal }) => document(await api.GET("/api/admin/allow-list", { signal })).allow_list,
  });
}

export function allEvents(api: Api) {
  return infiniteQueryOptions({
    queryKey: ["events"],
    queryFn: async ({ signal, pageParam }) => document(await api.GET("/api/admin/events", { params: { query: given({ before: pageParam }) }, signal })),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
  });
}

export function fleetCosts(api: Api) {
  return infiniteQueryOptions({
    queryKey: ["costs"],
    queryFn: async ({ signal, pageParam }) => document(await api.GET("/api/admin/costs", { params: { query: given({ cursor: pageParam }) }, signal })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) > MAX_LIVE_PAGES ? false : 2 * SLOW),
  });
}

export function botCosts(api: Api, user: string) {
  return queryOptions({
    queryKey: ["bot", user, "costs"],
    queryFn: async ({ signal }) => document(await api.GET("/api/admin/bots/{user}/costs", { params: { path: { user } }, signal })),
    refetchInterval: 2 * SLOW,
  });
}

/** How far back charts look. */
export const RANGES = ["24h", "30d"] as const;
export type Range = (typeof RANGES)[number];

export function botSeries(api: Api, user: string, range: Range) {
  return queryOptions({
    queryKey: ["bot", user, "series", range],
    queryFn: async ({ signal }) => document(await api.GET("/api/admin/bots/{user}/series", { params: { path: { user }, query: { range } }, signal })),
    refetchInterval: 2 * SLOW,
  });
}

export function fleetSeries(api: Api, range: Range) {
  return queryOptions({
    queryKey: ["fleet-series", range],
    queryFn: async ({ signal }) => document(await api.GET("/api/admin/fleet/series", { params: { query: { range } }, signal })),
    refetchInterval: 2 * SLOW,
  });
}

export function log(api: Api, user: string, lines: number, follows: boolean) {
  return queryOptions({
    queryKey: ["bot", user, "log", lines],
    queryFn: async ({ signal }) => {
      const { data } = await api.GET("/api/admin/bots/{user}/logs", { params: { path: { user }, query: { lines } }, parseAs: "text", signal });
      return data ?? "";
    },
    refetchInterval: follows ? LIVELY : false,
    retry: false,
  });
}

export function snapshotFiles(api: Api, user: string, snapshot: string, path: string) {
  return queryOptions({
    queryKey: ["snapshot-files", user, snapshot, path],
    queryFn: async ({ signal }) =>
      document(await api.GET("/api/admin/bots/{user}/snapshots/files", { params: { path: { user }, query: { snapshot, path } }, ...inSnapshot(snapshot, path), signal })),
    // A snapshot never changes.
    staleTime: Infinity,
    retry: false,
  });
}

export function bulkOrders(api: Api) {
  return infiniteQueryOptions({
    queryKey: ["bulk"],
    queryFn: async ({ signal, pageParam }) => document(await api.GET("/api/admin/bulk", { params: { query: given({ before: pageParam }) }, signal })),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    refetchInterval: CALM,
  });
}

export function bulkOrder(api: Api, order: number, outcome: BulkOutcome | undefined) {
  return infiniteQueryOptions({
    queryKey: ["bulk", order, outcome],
    queryFn: async ({ signal, pageParam }) =>
      document(await api.GET("/api/admin/bulk/{order}", { params: { path: { order }, query: given({ outcome, after: pageParam }) }, signal })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    refetchInterval: ({ state }) => (state.data?.pages[0]?.order.finished_at == null ? LIVELY : false),
  });
}

export function sinks(api: Api) {
  return queryOptions({
    queryKey: ["sinks"],
    queryFn: async ({ signal }) => document(await api.GET("/api/admin/alerts/sinks", { signal })).sinks,
    refetchInterval: SLOW,
  });
}

export function alertRules(api: Api) {
  return queryOptions({
    queryKey: ["alert-settings"],
    queryFn: async ({ signal }) => document(await api.GET("/api/admin/alerts/settings", { signal })),
  });
}
