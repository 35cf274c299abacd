import { lazy, Suspense } from "react";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { BotState } from "../api/client";
import { fleetCounts, incidents, MAX_COUNTED_PAGES, platformHealth, type FleetCounts } from "../api/queries";
import { useApi } from "../session/context";
import { Answer, Card, HealthBadge, Loading, Nothing, Page, Time } from "../ui/parts";
import { IncidentRows } from "../ui/incidents";
import { componentWords } from "../words/components";
import { ALL_STATES, STATES, type Tone } from "../words/states";

const FleetCharts = lazy(() => import("./FleetCharts").then(({ FleetCharts }) => ({ default: FleetCharts })));

export function Overview() {
  const api = useApi();
  const counts = useQuery(fleetCounts(api));
  const open = useInfiniteQuery(incidents(api, "open"));
  const health = useQuery(platformHealth(api));
  return (
    <Page title="Overview" about="The whole fleet at a glance. It keeps itself up to date.">
      <Answer of={counts} what="Counting the fleet" lines={2}>
        {(data) => <Figures counts={data} />}
      </Answer>
      <div className="columns">
        <Card title="Open incidents" aside={<Link to="/incidents">All incidents</Link>} flush>
          <Answer of={open} what="Reading the incidents">
            {({ pages }) => {
              const all = pages.flatMap((page) => page.incidents);
              return all.length === 0 ? <Nothing title="Nothing is wrong" about="An incident appears here as soon as one begins." /> : <IncidentRows incidents={all.slice(0, 8)} />;
            }}
          </Answer>
        </Card>
        <Card title="Platform" aside={<Link to="/platform">Details</Link>} flush>
          <Answer of={health} what="Reading the platform's health">
            {(report) => (
              <ul className="rows">
                {report.components.map((part) => (
                  <li key={part.component} className="row between">
                    <span>{componentWords(part.component).name}</span>
                    <HealthBadge health={part.health} />
                  </li>
                ))}
              </ul>
            )}
          </Answer>
        </Card>
      </div>
      <Suspense fallback={<Loading what="Loading the charts" />}>
        <FleetCharts />
      </Suspense>
    </Page>
  );
}

function Figures({ counts }: { counts: FleetCounts }) {
  if (counts.total === 0) {
    return (
      <Card>
        <Nothing title="There are no bots yet" about="A bot appears here when its owner opens it for the first time." />
      </Card>
    );
  }
  return (
    <>
      <ul className="figures">
        <Figure name="Bots" figure={counts.total} more={counts.more} />
        {ALL_STATES.filter((state) => counts.states[state] !== undefined).map((state) => (
          <Figure key={state} name={STATES[state].name} figure={counts.states[state] ?? 0} tone={STATES[state].tone} more={counts.more} search={{ state }} />
        ))}
        <Figure name="With incidents" figure={counts.troubled} tone={counts.troubled > 0 ? "watch" : "good"} more={counts.more} to="/incidents" />
      </ul>
      <p className="subtle">
        {counts.oldestSnapshot === null ? "No bot has a snapshot yet." : (
          <>The oldest of the bots' newest snapshots was taken <Time at={counts.oldestSnapshot} />.</>
        )}
        {counts.more && ` Counted are the first ${MAX_COUNTED_PAGES * 100} bots.`}
      </p>
    </>
  );
}

function Figure({ name, figure, tone, more, to = "/bots", search = {} }: { name: string; figure: number; tone?: Tone; more: boolean; to?: "/bots" | "/incidents"; search?: { state?: BotState } }) {
  return (
    <li>
      <Link {...(to === "/bots" ? { to, search } : { to })} className="figure" data-tone={tone}>
        <strong>
          {figure.toLocaleString()}
          {more && "+"}
        </strong>
        <span>{name}</span>
      </Link>
    </li>
  );
}
