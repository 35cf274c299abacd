// Which page an address shows. Each is a chunk of its own, loaded when it is first wanted.
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Link } from "@tanstack/react-router";
import { type BotsSearch, HEALTHS, SORTS } from "./search";
import { Page } from "./ui/parts";
import { Shell } from "./ui/Shell";
import { ALL_STATES } from "./words/states";

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound });

/** One of these, or nothing: what stands in an address is anybody's to write. */
function oneOf<T extends string, K extends string>(name: K, values: readonly T[], value: unknown) {
  const found = values.find((known) => known === value);
  return (found === undefined ? {} : { [name]: found }) as { [key in K]?: T };
}

const overview = createRoute({ getParentRoute: () => root, path: "/", component: lazyRouteComponent(() => import("./pages/Overview"), "Overview") });
const bots = createRoute({
  getParentRoute: () => root,
  path: "/bots",
  validateSearch: (search: Record<string, unknown>): BotsSearch => ({
    ...oneOf("state", ALL_STATES, search.state),
    ...oneOf("health", HEALTHS, search.health),
    ...oneOf("sort", SORTS, search.sort),
    ...(typeof search.search === "string" && search.search !== "" && { search: search.search }),
  }),
  component: lazyRouteComponent(() => import("./pages/Bots"), "Bots"),
});
const bot = createRoute({ getParentRoute: () => root, path: "/bots/$user", component: lazyRouteComponent(() => import("./pages/Bot"), "BotPage") });
const incidents = createRoute({
  getParentRoute: () => root,
  path: "/incidents",
  validateSearch: (search: Record<string, unknown>): { state?: "open" | "closed" } => oneOf("state", ["open", "closed"] as const, search.state),
  component: lazyRouteComponent(() => import("./pages/Incidents"), "Incidents"),
});
const platform = createRoute({ getParentRoute: () => root, path: "/platform", component: lazyRouteComponent(() => import("./pages/Platform"), "Platform") });

export const router = createRouter({
  routeTree: root.addChildren([overview, bots, bot, incidents, platform]),
  basepath: "/admin",
  defaultPreload: "intent",
  // A question that is open about one bot must not stay open on another's page.
  defaultRemountDeps: ({ params }) => params,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

function NotFound() {
  return (
    <Page title="There is no such page">
      <p>
        <Link to="/">To the overview</Link>
      </p>
    </Page>
  );
}
