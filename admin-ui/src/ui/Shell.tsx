import { Button } from "@cloudflare/kumo/components/button";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { incidents, platformHealth } from "../api/queries";
import { useApi, useSession, useStage } from "../session/context";
import { SignIn } from "../session/SignIn";
import { useMainOfEachPage } from "./main";
import { ThemeSwitch } from "./theme";

/** Everything around a page; before somebody is in, the way in. */
export function Shell() {
  return useStage().at === "in" ? <Inside /> : <SignIn />;
}

function Inside() {
  const main = useMainOfEachPage();
  return (
    <>
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <Head />
      <main id="main" ref={main} tabIndex={-1}>
        <Outlet />
      </main>
    </>
  );
}

function Head() {
  const session = useSession();
  const stage = useStage();
  const nav = useRef<HTMLElement>(null);
  const path = useRouterState({ select: ({ location }) => location.pathname });
  // On a phone not all links fit: the one that is meant has to be seen.
  useEffect(() => nav.current?.querySelector("[aria-current]")?.scrollIntoView({ inline: "nearest", block: "nearest" }), [path]);
  return (
    <header className="head">
      <Link to="/" className="brand">
        Moltworker
      </Link>
      <nav aria-label="Pages" className="nav" ref={nav}>
        <Link to="/" activeOptions={{ exact: true }}>
          Overview
        </Link>
        <Link to="/bots">Bots</Link>
        <Link to="/users">Users</Link>
        <Link to="/incidents">
          Incidents <OpenIncidents />
        </Link>
        <Link to="/platform">
          Platform <Unwell />
        </Link>
        <Link to="/costs">Costs</Link>
        <Link to="/audit">Audit log</Link>
        <Link to="/settings">Settings</Link>
      </nav>
      <div className="row who">
        <span className="subtle email" title={stage.at === "in" ? stage.email : undefined}>
          {stage.at === "in" && stage.email}
        </span>
        <ThemeSwitch />
        <Button size="sm" variant="secondary" onClick={() => void session.leave()}>
          Sign out
        </Button>
      </div>
    </header>
  );
}

function OpenIncidents() {
  const { data } = useInfiniteQuery(incidents(useApi(), "open"));
  const count = data?.pages.reduce((sum, page) => sum + page.incidents.length, 0) ?? 0;
  if (count === 0) return null;
  return (
    <span className="count" aria-label={`${count} open`}>
      {count}
      {data?.pages.at(-1)?.next ? "+" : ""}
    </span>
  );
}

function Unwell() {
  const { data } = useQuery(platformHealth(useApi()));
  return data?.health === "unhealthy" ? <span className="count" aria-label="something is wrong">!</span> : null;
}
