import { Button } from "@cloudflare/kumo/components/button";
import { Select } from "@cloudflare/kumo/components/select";
import { Switch } from "@cloudflare/kumo/components/switch";
import { Table } from "@cloudflare/kumo/components/table";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useCallback } from "react";
import type { Event } from "../api/client";
import { allEvents } from "../api/queries";
import type { AuditSearch } from "../search";
import { useApi, useStage } from "../session/context";
import { SearchField } from "../ui/SearchField";
import { Answer, Card, More, Nothing, Page, Time } from "../ui/parts";
import { useIsNarrow } from "../ui/narrow";
import { VirtualTable } from "../ui/VirtualTable";
import { csv, save } from "../words/csv";
import { actorWords, eventMatches, eventWords, KIND_NAMES } from "../words/events";

const route = getRouteApi("/audit");
const ANY = "any";
const ROW_HEIGHT = 64;
/** On a phone: with two lines for what has no column of its own there. */
const NARROW_ROW_HEIGHT = 100;

export function AuditLog() {
  const filter = route.useSearch();
  const navigate = route.useNavigate();
  const list = useInfiniteQuery(allEvents(useApi()));
  const loaded = list.data?.pages.flatMap(({ events }) => events) ?? [];
  const shown = loaded.filter((event) => eventMatches(event, filter));
  const change = useCallback(
    (changed: { [K in keyof AuditSearch]: AuditSearch[K] | undefined }) =>
      void navigate({ search: (old) => Object.fromEntries(Object.entries({ ...old, ...changed }).filter(([, value]) => value !== undefined)) as AuditSearch, replace: true }),
    [navigate],
  );
  const search = useCallback((text: string | undefined) => change({ search: text }), [change]);
  return (
    <Page
      title="Audit log"
      about="What happened to bots and accounts, who did it, and who looked. The newest first."
      actions={
        <>
          <Button size="sm" variant="secondary" loading={list.isRefetching && !list.isFetchingNextPage} onClick={() => void list.refetch()}>
            Refresh
          </Button>
          <Button size="sm" variant="secondary" disabled={shown.length === 0} onClick={() => save(csvOf(shown), "audit-log.csv")}>
            Export as CSV
          </Button>
        </>
      }
    >
      <div className="filters" role="search">
        <SearchField placeholder="Actor, user id, action, detail or address" given={filter.search ?? ""} search={search} />
        <Select label="Kind" value={filter.kind ?? ANY} onValueChange={(value) => change({ kind: value === null || value === ANY ? undefined : value })} items={{ [ANY]: "Any kind", ...KIND_NAMES }} />
        <Switch label="Show looks" checked={filter.looks === true} onCheckedChange={(looks) => change({ looks: looks || undefined })} />
      </div>
      <p className="subtle" role="status">
        {shown.length.toLocaleString()} of {loaded.length.toLocaleString()} loaded events. Filter and export cover what is loaded.
      </p>
      <Card flush>
        <Answer of={list} what="Reading the history" lines={8}>
          {() => (shown.length === 0 ? <Nothing title="No loaded event is like that" about="Load older ones, or take a filter away." /> : <EventTable events={shown} />)}
        </Answer>
        <More of={list} words="Load older events" />
      </Card>
    </Page>
  );
}

const COLUMNS = [{ name: "When" }, { name: "What" }, { name: "By" }, { name: "Whose", wide: true }, { name: "Detail", wide: true }];

function EventTable({ events }: { events: Event[] }) {
  const stage = useStage();
  const me = stage.at === "in" ? stage.user : "";
  return (
    <VirtualTable
      label="events"
      columns={COLUMNS}
      rows={events}
      rowHeight={useIsNarrow() ? NARROW_ROW_HEIGHT : ROW_HEIGHT}
      idOf={({ id }) => String(id)}
      cells={(event) => (
        <>
          <Table.Cell className="nowrap">
            <Time at={event.at} />
          </Table.Cell>
          <Table.Cell>
            <div className="two-lines">
              <strong>{eventWords(event)}</strong>
              {event.code !== null && <span className="subtle"> {event.code}</span>}
            </div>
            {(event.user_id !== null || event.detail !== null) && (
              <div className="narrow-lines subtle">
                {event.user_id !== null && <Whose user={event.user_id} />} {event.detail}
              </div>
            )}
          </Table.Cell>
          <Table.Cell>
            <div className="two-lines" title={event.agent ?? undefined}>
              {actorWords(event.actor, me)}
              {event.address !== null && <span className="subtle mono"> {event.address}</span>}
            </div>
          </Table.Cell>
          <Table.Cell className="wide">
            {event.user_id === null ? (
              <span className="subtle">–</span>
            ) : (
              <Whose user={event.user_id} />
            )}
          </Table.Cell>
          <Table.Cell className="wide wrong">
            <div className="two-lines" title={event.detail ?? undefined}>
              {event.detail ?? <span className="subtle">–</span>}
            </div>
          </Table.Cell>
        </>
      )}
    />
  );
}

function Whose({ user }: { user: string }) {
  return (
    <Link to="/users/$user" params={{ user }} className="mono" title={user} preload={false}>
      {user.slice(0, 8)}…
    </Link>
  );
}

function csvOf(events: Event[]): Blob {
  const names = ["id", "time", "kind", "action", "actor", "user_id", "status", "code", "detail", "run", "address", "agent", "request_id"];
  const rows = events.map((event) => [
    event.id,
    new Date(event.at).toISOString(),
    event.kind,
    event.action,
    event.actor,
    event.user_id,
    event.status,
    event.code,
    event.detail,
    event.run,
    event.address,
    event.agent,
    event.request_id,
  ]);
  return new Blob([csv(names, rows)], { type: "text/csv;charset=utf-8" });
}
