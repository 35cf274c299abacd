// What the owner's page reads, and how often it looks again. None of it wakes the bot, but what is read of a snapshot, which
// takes a bot that is awake.
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { document, type Api, type BotState } from "../api/client";
import { inSnapshot } from "../api/in-snapshot";
import type { paths } from "../api/schema";

const SECOND = 1_000;
/** While something happens to the bot. */
const LIVELY = 2 * SECOND;
const CALM = 15 * SECOND;
const SLOW = 60 * SECOND;

/** States that pass by themselves. */
export const PASSING: BotState[] = ["starting", "restoring", "stopping", "unhealthy"];
/** States in which there is a gateway that answers, or will in a moment. */
export const AWAKE: BotState[] = ["running", "unhealthy"];

export type Range = NonNullable<NonNullable<paths["/api/bot/series"]["get"]["parameters"]["query"]>["range"]>;

/** Everything here is about one bot: an order makes all of it old. */
export const ALL = ["own"] as const;

export function bot(api: Api) {
  return queryOptions({
    queryKey: [...ALL, "bot"],
    queryFn: async ({ signal }) => document(await api.GET("/api/bot", { signal })),
    refetchInterval: ({ state: { data } }) => (data && (PASSING.includes(data.state) || data.under_way) ? LIVELY : CALM),
  });
}

export function costs(api: Api) {
  return queryOptions({
    queryKey: [...ALL, "costs"],
    queryFn: async ({ signal }) => document(await api.GET("/api/bot/costs", { signal })),
    refetchInterval: SLOW,
  });
}

export function series(api: Api, range: Range) {
  return queryOptions({
    queryKey: [...ALL, "series", range],
    queryFn: async ({ signal }) => document(await api.GET("/api/bot/series", { params: { query: { range } }, signal })),
    refetchInterval: SLOW,
  });
}

export function snapshots(api: Api) {
  return infiniteQueryOptions({
    queryKey: [...ALL, "snapshots"],
    queryFn: async ({ signal, pageParam }) =>
      document(await api.GET("/api/bot/snapshots", { params: { query: pageParam === undefined ? {} : { after: pageParam } }, signal })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    refetchInterval: CALM,
  });
}

export function entries(api: Api, snapshot: string, path: string) {
  return queryOptions({
    queryKey: [...ALL, "entries", snapshot, path],
    queryFn: async ({ signal }) => document(await api.GET("/api/bot/snapshots/files", { params: { query: { snapshot, path } }, ...inSnapshot(snapshot, path), signal })),
    // A snapshot does not change.
    staleTime: Infinity,
  });
}

export function events(api: Api) {
  return infiniteQueryOptions({
    queryKey: [...ALL, "events"],
    queryFn: async ({ signal, pageParam }) =>
      document(await api.GET("/api/bot/events", { params: { query: pageParam === undefined ? {} : { before: pageParam } }, signal })),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: ({ next }) => next ?? undefined,
    refetchInterval: CALM,
  });
}

export function domains(api: Api) {
  return queryOptions({ queryKey: ["domains"], queryFn: async ({ signal }) => document(await api.GET("/api/bot/domains", { signal })).domains });
}

export function tokens(api: Api) {
  return queryOptions({ queryKey: ["tokens"], queryFn: async ({ signal }) => document(await api.GET("/api/bot/tokens", { signal })).tokens });
}

export function sink(api: Api) {
  return queryOptions({ queryKey: ["sink"], queryFn: async ({ signal }) => document(await api.GET("/api/bot/alerts/sink", { signal })).sink });
}
