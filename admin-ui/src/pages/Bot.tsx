import { lazy, Suspense } from "react";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import type { BotStatus } from "../api/client";
import { bot, user } from "../api/queries";
import { useApi } from "../session/context";
import { Answer, Card, HealthBadge, Loading, Page, StateBadge, Time, useNow } from "../ui/parts";
import { BOT_PARTS, type BotPart } from "../search";
import { explain, size } from "../words/states";
import { Actions } from "./bot/Actions";
import { BotIncidents } from "./bot/BotIncidents";
import { BotCosts } from "./bot/BotCosts";
import { Events } from "./bot/Events";
import { Log } from "./bot/Log";
import { Snapshots } from "./bot/Snapshots";

const route = getRouteApi("/bots/$user");

const Charts = lazy(() => import("./bot/Charts").then(({ Charts }) => ({ default: Charts })));
const PART_NAMES: Record<BotPart, string> = { state: "State", charts: "Charts", log: "Log", snapshots: "Snapshots", costs: "Costs", events: "Events" };

export function BotPage() {
  const { user: id } = route.useParams();
  const { part = "state" } = route.useSearch();
  const api = useApi();
  const status = useQuery(bot(api, id));
  const owner = useQuery(user(api, id));
  const name = owner.data?.email ?? id;
  return (
    <Page
      title={name}
      about={
        <>
          <Link to="/bots">Bots</Link> / <span className="mono wraps">{id}</span> ·{" "}
          <Link to="/users/$user" params={{ user: id }}>
            Owner and domains
          </Link>
        </>
      }
      actions={status.data && <StateBadge state={status.data.state} />}
    >
      <Answer of={status} what="Asking the bot's Sandbox" lines={5}>
        {(data) => (
          <>
            <State status={data} />
            <Actions user={id} name={name} status={data} />
            <Parts />
            {part === "state" && (
              <div className="columns">
                <Facts status={data} />
                <BotIncidents user={id} kinds={data.incidents ?? []} />
              </div>
            )}
            {part === "snapshots" && <Snapshots user={id} name={name} status={data} />}
            {part === "charts" && (
              <Suspense fallback={<Loading what="Loading the charts" />}>
                <Charts user={id} status={data} />
              </Suspense>
            )}
          </>
        )}
      </Answer>
      {/* What follows does not need the bot's Sandbox to answer. */}
      {status.data === undefined && status.error && <Parts />}
      {part === "log" && <Log user={id} />}
      {part === "costs" && <BotCosts user={id} name={name} />}
      {part === "events" && <Events user={id} />}
    </Page>
  );
}

/** The way to each part of the page; each asks for what it shows when it is opened. */
function Parts() {
  return (
    <nav className="nav parts" aria-label="Parts of this page">
      {BOT_PARTS.map((one) => (
        <Link key={one} to="." search={one === "state" ? {} : { part: one }} replace activeOptions={{ exact: true, includeSearch: true }} resetScroll={false}>
          {PART_NAMES[one]}
        </Link>
      ))}
    </nav>
  );
}

function State({ status }: { status: BotStatus }) {
  const { tone, headline, because, next } = explain(status, useNow());
  return (
    <section className="card state" data-tone={tone} aria-label="State">
      <div role="status">
        <h2>{headline}</h2>
      </div>
      {because.map((words) => (
        <p key={words}>{words}</p>
      ))}
      {next !== undefined && (
        <p>
          <strong>What to do:</strong> {next}
        </p>
      )}
    </section>
  );
}

function Facts({ status }: { status: BotStatus }) {
  const { backups, restored, start } = status;
  return (
    <Card title="Facts">
      <dl className="facts">
        <dt>In this state since</dt>
        <dd>
          <Time at={status.since} />
        </dd>
        <dt>Gateway</dt>
        <dd>
          <HealthBadge health={status.health} />
        </dd>
        <dt>Run</dt>
        <dd>{status.run === 0 ? "none yet" : `number ${status.run}`}</dd>
        {backups && (
          <>
            <dt>Newest snapshot</dt>
            <dd>
              <Time at={backups.newest?.at} none="none yet" />
            </dd>
            <dt>Unsaved changes</dt>
            <dd>{backups.unsaved_since === null ? "none" : <>since <Time at={backups.unsaved_since} /></>}</dd>
            <dt>Proven by a restore</dt>
            <dd>
              <Time at={backups.verified?.at} none="not yet" />
            </dd>
          </>
        )}
        {restored && (
          <>
            <dt>Home made from</dt>
            <dd>
              {restored.amount.files.toLocaleString()} files, {size(restored.amount.bytes)}
            </dd>
          </>
        )}
        {start && Object.keys(start).length > 0 && (
          <>
            <dt>Start took</dt>
            <dd>{startWords(start)}</dd>
          </>
        )}
      </dl>
    </Card>
  );
}

function startWords(start: object): string {
  const times = Object.entries(start).filter((entry): entry is [string, number] => typeof entry[1] === "number");
  if (times.length === 0) return "not known";
  return times.map(([part, ms]) => `${part.replace(/_ms$/, "").replaceAll("_", " ")} ${(ms / 1_000).toFixed(1)} s`).join(", ");
}
