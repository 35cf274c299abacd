// Which part of the owner's page an address shows. Each but the first is a chunk of its own.
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { Page } from "../ui/parts";
import { Overview } from "./Overview";
import { Part } from "./Part";
import { Shell } from "./Shell";

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound });
const overview = createRoute({ getParentRoute: () => root, path: "/", component: Overview });
const snapshots = createRoute({ getParentRoute: () => root, path: "/snapshots", component: lazyRouteComponent(() => import("./Snapshots"), "Snapshots") });
const settings = createRoute({ getParentRoute: () => root, path: "/settings", component: lazyRouteComponent(() => import("./Settings"), "Settings") });
const history = createRoute({ getParentRoute: () => root, path: "/history", component: lazyRouteComponent(() => import("./History"), "History") });

export const router = createRouter({ routeTree: root.addChildren([overview, snapshots, settings, history]), basepath: "/bot", defaultPreload: "intent" });

function NotFound() {
  return (
    <Page title="There is no such page">
      <p>
        <Part to="/">To the overview</Part>
      </p>
    </Page>
  );
}
