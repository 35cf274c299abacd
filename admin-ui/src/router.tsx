// Which page an address shows. Each is a chunk of its own, loaded when it is first wanted.
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Link } from "@tanstack/react-router";
import { type AuditSearch, BOT_PARTS, type BotPart, type BotsSearch, HEALTHS, SORTS } from "./search";
import { Page } from "./ui/parts";
import { Shell } from "./ui/Shell";
import { ALL_STATES } from "./words/states";

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound });

/** One of these, or nothing: what stands in an address is anybody's to write. */
function oneOf<T extends string, K extends string>(name: K, values: readonly T[], value: unknown) {
  const found = values.find((known) => known === value);
  return (found === undefined ? {} : { [name]: found }) as { [key in K]?: T };
}

function text<K extends string>(name: K, value: unknown) {
  // A number in an address is read as one.
  const written = typeof value === "number" ? String(value) : value;
  return (typeof written === "string" && written !== "" ? { [name]: written } : {}) as { [key in K]?: string };
}

const overview = createRoute({ getParentRoute: () => root, path: "/", component: lazyRouteComponent(() => import("./pages/Overview"), "Overview") });
const bots = createRoute({
  getParentRoute: () => root,
  path: "/bots",
  validateSearch: (search: Record<string, unknown>): BotsSearch => ({
    ...oneOf("state", ALL_STATES, search.state),
    ...oneOf("health", HEALTHS, search.health),
    ...oneOf("sort", SORTS, search.sort),
    ...text("search", search.search),
  }),
  component: lazyRouteComponent(() => import("./pages/Bots"), "Bots"),
});
const bot = createRoute({
  getParentRoute: () => root,
  path: "/bots/$user",
  validateSearch: (search: Record<string, unknown>): { part?: BotPart } => oneOf("part", BOT_PARTS, search.part),
  component: lazyRouteComponent(() => import("./pages/Bot"), "BotPage"),
});
const users = createRoute({
  getParentRoute: () => root,
  path: "/users",
  validateSearch: (search: Record<string, unknown>): { search?: string } => text("search", search.search),
  component: lazyRouteComponent(() => import("./pages/Users"), "Users"),
});
const user = createRoute({ getParentRoute: () => root, path: "/users/$user", component: lazyRouteComponent(() => import("./pages/User"), "UserPage") });
const orders = createRoute({ getParentRoute: () => root, path: "/orders", component: lazyRouteComponent(() => import("./pages/Orders"), "Orders") });
const order = createRoute({ getParentRoute: () => root, path: "/orders/$order", component: lazyRouteComponent(() => import("./pages/Order"), "OrderPage") });
const audit = createRoute({
  getParentRoute: () => root,
  path: "/audit",
  validateSearch: (search: Record<string, unknown>): AuditSearch => ({ ...text("search", search.search), ...text("kind", search.kind), ...(search.looks === true && { looks: true }) }),
  component: lazyRouteComponent(() => import("./pages/AuditLog"), "AuditLog"),
});
const costs = createRoute({ getParentRoute: () => root, path: "/costs", component: lazyRouteComponent(() => import("./pages/Costs"), "Costs") });
const settings = createRoute({ getParentRoute: () => root, path: "/settings", component: lazyRouteComponent(() => import("./pages/Settings"), "Settings") });
const incidents = createRoute({
  getParentRoute: () => root,
  path: "/incidents",
  validateSearch: (search: Record<string, unknown>): { state?: "open" | "closed" } => oneOf("state", ["open", "closed"] as const, search.state),
  component: lazyRouteComponent(() => import("./pages/Incidents"), "Incidents"),
});
const platform = createRoute({ getParentRoute: () => root, path: "/platform", component: lazyRouteComponent(() => import("./pages/Platform"), "Platform") });

export const router = createRouter({
  routeTree: root.addChildren([overview, bots, bot, users, user, incidents, orders, order, audit, costs, platform, settings]),
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
