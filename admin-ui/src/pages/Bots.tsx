import { Button } from "@cloudflare/kumo/components/button";
import { Select } from "@cloudflare/kumo/components/select";
import { Table } from "@cloudflare/kumo/components/table";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useCallback, useState } from "react";
import type { ListedBot } from "../api/client";
import { fleet } from "../api/queries";
import type { BotsSearch } from "../search";
import { useApi } from "../session/context";
import { SearchField } from "../ui/SearchField";
import { Answer, Card, HealthBadge, Nothing, Page, StateBadge, Time, ToneBadge } from "../ui/parts";
import { VirtualTable, type Pages } from "../ui/VirtualTable";
import { ALL_STATES, incidentWords, STATES } from "../words/states";
import { MAX_NAMED, OrderDialog, type Selection } from "./orders/OrderDialog";

const route = getRouteApi("/bots");
const ANY = "any";
const ROW_HEIGHT = 64;

export function Bots() {
  const filter = route.useSearch();
  return (
    <Page title="Bots" about="Every bot that was ever opened." actions={<Link to="/orders">Orders to many bots</Link>}>
      <Filters filter={filter} />
      {/* A selection in another list says nothing in this one. */}
      <Fleet key={JSON.stringify(filter)} filter={filter} />
    </Page>
  );
}

function Fleet({ filter }: { filter: BotsSearch }) {
  const list = useInfiniteQuery(fleet(useApi(), filter));
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [ordering, setOrdering] = useState<Selection>();
  const { sort: _, ...asked } = filter;
  const isFiltered = Object.keys(asked).length > 0;
  const toggle = useCallback(
    (user: string) =>
      setSelected((old) => {
        const changed = new Set(old);
        if (!changed.delete(user)) changed.add(user);
        return changed;
      }),
    [],
  );
  return (
    <>
      <div className="row between wraps-row bar">
        <span className="subtle" role="status">
          {selected.size > 0 ? `${selected.size} selected` : list.data && `${list.data.pages.reduce((sum, { bots }) => sum + bots.length, 0).toLocaleString()} ${list.hasNextPage ? "loaded, more follow" : "in all"}`}
        </span>
        <span className="row wraps-row">
          {selected.size > 0 && (
            <>
              <Button size="sm" variant="ghost" onClick={() => setSelected(new Set())}>
                Select none
              </Button>
              <Button size="sm" variant="primary" disabled={selected.size > MAX_NAMED} onClick={() => setOrdering({ users: [...selected] })}>
                Order to these …
              </Button>
            </>
          )}
          <Button size="sm" variant="secondary" onClick={() => setOrdering({ filter: { state: asked.state ?? null, health: asked.health ?? null, search: asked.search ?? null } })}>
            {isFiltered ? "Order to all that match …" : "Order to all …"}
          </Button>
        </span>
      </div>
      {selected.size > MAX_NAMED && <p role="alert">An order names {MAX_NAMED} bots at most. Take some out, or order by filter.</p>}
      <Card flush>
        <Answer of={list} what="Reading the fleet" lines={8}>
          {({ pages }) => {
            const bots = pages.flatMap((page) => page.bots);
            if (bots.length > 0) return <BotTable bots={bots} selected={selected} toggle={toggle} list={list} />;
            return isFiltered ? (
              <Nothing title="No bot is like that" about="Search by the beginning of an e-mail address or of a user id, or take a filter away." />
            ) : (
              <Nothing title="There are no bots yet" about="A bot appears here when its owner opens it for the first time." />
            );
          }}
        </Answer>
      </Card>
      <OrderDialog selection={ordering} close={() => setOrdering(undefined)} />
    </>
  );
}

function Filters({ filter }: { filter: BotsSearch }) {
  const navigate = route.useNavigate();
  const change = useCallback(
    (changed: { [K in keyof BotsSearch]: BotsSearch[K] | undefined }) =>
      void navigate({
        search: (old) => Object.fromEntries(Object.entries({ ...old, ...changed }).filter(([, value]) => value !== undefined && value !== "")) as BotsSearch,
        replace: true,
      }),
    [navigate],
  );
  const search = useCallback((text: string | undefined) => change({ search: text }), [change]);
  return (
    <div className="filters" role="search">
      <SearchField placeholder="E-mail address or user id" given={filter.search ?? ""} search={search} />
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
        label="Sort"
        value={filter.sort ?? "user"}
        onValueChange={(value) => change({ sort: value === "active" || value === "since" || value === "snapshot" ? value : undefined })}
        items={{ user: "By user id", active: "Last used first", since: "Last changed first", snapshot: "Last saved first" }}
      />
    </div>
  );
}

interface BotTableProps {
  bots: ListedBot[];
  selected: ReadonlySet<string>;
  toggle: (user: string) => void;
  list: Pages;
}

const COLUMNS = [
  { name: "Selected", head: <span className="hidden">Selected</span> },
  { name: "Owner" },
  { name: "State" },
  { name: "Health", wide: true },
  { name: "Wrong", wide: true },
  { name: "Last used", wide: true },
  { name: "Last snapshot", wide: true },
];

function BotTable({ bots, selected, toggle, list }: BotTableProps) {
  return (
    <VirtualTable
      label="bots"
      columns={COLUMNS}
      rows={bots}
      rowHeight={ROW_HEIGHT}
      idOf={({ user_id }) => user_id}
      pages={list}
      cells={(bot) => (
        <>
          <Table.Cell>
            <input type="checkbox" className="check" aria-label={`Select ${bot.email ?? bot.user_id}`} checked={selected.has(bot.user_id)} onChange={() => toggle(bot.user_id)} />
          </Table.Cell>
          <Table.Cell className="owner">
            <Link to="/bots/$user" params={{ user: bot.user_id }} className="clipped block" preload={false}>
              {bot.email ?? "no e-mail address"}
            </Link>
            <div className="subtle mono clipped" title={bot.user_id}>
              {bot.user_id}
            </div>
          </Table.Cell>
          <Table.Cell>
            <span className="row">
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
          <Table.Cell className="wide wrong">{bot.incidents.length === 0 ? <span className="subtle">–</span> : <Wrong bot={bot} />}</Table.Cell>
          <Table.Cell className="wide nowrap">
            <Time at={bot.active_at} />
          </Table.Cell>
          <Table.Cell className="wide nowrap">
            <Time at={bot.snapshot_at} none="none yet" />
          </Table.Cell>
        </>
      )}
    />
  );
}

function Wrong({ bot }: { bot: ListedBot }) {
  const words = bot.incidents.map(incidentWords).join(", ");
  return (
    <div className="two-lines" title={words}>
      {words}
    </div>
  );
}
