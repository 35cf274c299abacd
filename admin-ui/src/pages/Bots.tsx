import { Button } from "@cloudflare/kumo/components/button";
import { Select } from "@cloudflare/kumo/components/select";
import { Table } from "@cloudflare/kumo/components/table";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import type { ListedBot } from "../api/client";
import { fleet } from "../api/queries";
import type { BotsSearch } from "../search";
import { useApi } from "../session/context";
import { SearchField } from "../ui/SearchField";
import { Answer, Card, DataTable, HealthBadge, Nothing, Page, StateBadge, Time, ToneBadge } from "../ui/parts";
import { ALL_STATES, incidentWords, STATES } from "../words/states";

const route = getRouteApi("/bots");
const ANY = "any";

export function Bots() {
  const filter = route.useSearch();
  return (
    <Page title="Bots" about="Every bot that was ever opened.">
      <Filters filter={filter} />
      {/* A place in another list says nothing in this one. */}
      <Fleet key={JSON.stringify(filter)} filter={filter} />
    </Page>
  );
}

function Fleet({ filter }: { filter: BotsSearch }) {
  const [before, setBefore] = useState<string[]>([]);
  const page = useQuery(fleet(useApi(), filter, before.at(-1)));
  const next = page.data?.next;
  const isFiltered = Object.keys(filter).some((name) => name !== "sort");
  return (
    <>
      <Card flush>
        <Answer of={page} what="Reading the fleet" lines={8}>
          {({ bots }) =>
            bots.length > 0 ? (
              <BotTable bots={bots} />
            ) : isFiltered ? (
              <Nothing title="No bot is like that" about="Search by the beginning of an e-mail address or of a user id, or take a filter away." />
            ) : (
              <Nothing title="There are no bots yet" about="A bot appears here when its owner opens it for the first time." />
            )
          }
        </Answer>
      </Card>
      {(before.length > 0 || next) && (
        <nav className="row between" aria-label="Pages of the list">
          <Button variant="secondary" size="sm" disabled={before.length === 0} onClick={() => setBefore(before.slice(0, -1))}>
            Previous
          </Button>
          <span className="subtle" role="status">
            Page {before.length + 1}
            {page.isPlaceholderData && " …"}
          </span>
          <Button variant="secondary" size="sm" disabled={!next || page.isPlaceholderData} onClick={() => next && setBefore([...before, next])}>
            Next
          </Button>
        </nav>
      )}
    </>
  );
}

function Filters({ filter }: { filter: BotsSearch }) {
  const navigate = route.useNavigate();
  const change = (changed: { [K in keyof BotsSearch]: BotsSearch[K] | undefined }) =>
    void navigate({
      search: (old) => Object.fromEntries(Object.entries({ ...old, ...changed }).filter(([, value]) => value !== undefined && value !== "")) as BotsSearch,
      replace: true,
    });
  return (
    <div className="filters" role="search">
      <SearchField placeholder="E-mail address or user id" given={filter.search ?? ""} search={(search) => change({ search })} />
      <Select
        label="State"
        value={filter.state ?? ANY}
        onValueChange={(value) => change({ state: ALL_STATES.find((state) => state === value) })}
        items={{ [ANY]: "Any state", ...Object.fromEntries(ALL_STATES.map((state) => [state, STATES[state].name])) }}
      />
      <Select
        label="Health"
        value={filter.health ?? ANY}
        onValueChange={(value) => change({ health: value === "healthy" || value === "unhealthy" || value === "unknown" ? value : undefined })}
        items={{ [ANY]: "Any health", healthy: "Healthy", unhealthy: "Unhealthy", unknown: "Unknown" }}
      />
      <Select
        label="Order"
        value={filter.sort ?? "user"}
        onValueChange={(value) => change({ sort: value === "active" || value === "since" || value === "snapshot" ? value : undefined })}
        items={{ user: "By user id", active: "Last used first", since: "Last changed first", snapshot: "Last saved first" }}
      />
    </div>
  );
}

const COLUMNS = [{ name: "Owner" }, { name: "State" }, { name: "Health", wide: true }, { name: "Wrong", wide: true }, { name: "Last used", wide: true }, { name: "Last snapshot", wide: true }];

function BotTable({ bots }: { bots: ListedBot[] }) {
  return (
    <DataTable label="bots" columns={COLUMNS}>
          {bots.map((bot) => (
            <Table.Row key={bot.user_id}>
              <Table.Cell className="owner">
                <Link to="/bots/$user" params={{ user: bot.user_id }}>
                  {bot.email ?? "no e-mail address"}
                </Link>
                <div className="subtle mono clipped" title={bot.user_id}>
                  {bot.user_id}
                </div>
              </Table.Cell>
              <Table.Cell>
                <span className="row wraps-row">
                  <StateBadge state={bot.state} />
                  {bot.incidents.length > 0 && (
                    <span className="narrow">
                      <ToneBadge tone="watch">{bot.incidents.length} wrong</ToneBadge>
                    </span>
                  )}
                </span>
                <div className="subtle nowrap">
                  <Time at={bot.since} />
                  {bot.pinned && " · pinned"}
                </div>
              </Table.Cell>
              <Table.Cell className="wide">
                <HealthBadge health={bot.health} />
              </Table.Cell>
              <Table.Cell className="wide">
                {bot.incidents.length === 0 ? (
                  <span className="subtle">–</span>
                ) : (
                  bot.incidents.map(incidentWords).join(", ")
                )}
              </Table.Cell>
              <Table.Cell className="wide nowrap">
                <Time at={bot.active_at} />
              </Table.Cell>
              <Table.Cell className="wide nowrap">
                <Time at={bot.snapshot_at} none="none yet" />
              </Table.Cell>
            </Table.Row>
          ))}
    </DataTable>
  );
}
