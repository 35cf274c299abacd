import { Banner } from "@cloudflare/kumo/components/banner";
import { Button } from "@cloudflare/kumo/components/button";
import { Table } from "@cloudflare/kumo/components/table";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { BotStatus, Snapshot } from "../../api/client";
import { snapshots } from "../../api/queries";
import { useApi } from "../../session/context";
import { Answer, Card, DataTable, More, Nothing, Time, ToneBadge } from "../../ui/parts";
import { useAsk } from "../../ui/useAsk";
import { restoreNews, restoreWords, snapshotNews } from "../../words/restore";
import { reasonWords } from "../../words/snapshots";
import { size } from "../../words/states";
import { exactly } from "../../words/time";
import { Browse } from "./snapshots/Browse";
import { Choice } from "./snapshots/Choice";
import { Consequences } from "./snapshots/Consequences";

interface Props {
  user: string;
  name: string;
  status: BotStatus;
}

export function Snapshots({ user, name, status }: Props) {
  const api = useApi();
  const list = useInfiniteQuery(snapshots(api, user));
  const [browsing, setBrowsing] = useState<Snapshot>();
  const { ask, dialog, said } = useAsk();
  const news = restoreNews(status, "the bot") ?? snapshotNews(status);
  const of = { params: { path: { user } } };
  const changes = [["bot", user]];
  const orders: Orders = {
    browse: setBrowsing,
    pin: (snapshot) => {
      const body = { snapshot: snapshot.id };
      ask({
        title: snapshot.pinned ? "Leave this snapshot to the retention policy?" : "Keep this snapshot for ever?",
        consequences: <p>{snapshot.pinned ? "It is deleted when the policy keeps it no longer." : "No policy deletes it until it is unpinned. It takes the room it takes."}</p>,
        verb: snapshot.pinned ? "Unpin" : "Pin",
        done: snapshot.pinned ? "It is left to the policy again." : "It is kept.",
        changes,
        act: () => (snapshot.pinned ? api.POST("/api/admin/bots/{user}/snapshots/unpin", { ...of, body }) : api.POST("/api/admin/bots/{user}/snapshots/pin", { ...of, body })),
      });
    },
    restore: (snapshot) =>
      ask({
        title: `Restore ${name}'s home of ${exactly(snapshot.taken_at ?? snapshot.stored_at)}?`,
        consequences: <Consequences status={status} snapshot={snapshot} />,
        verb: "Restore",
        destroys: true,
        done: restoreWords(status, "the bot").done,
        changes,
        act: () => api.POST("/api/admin/bots/{user}/snapshots/restore", { ...of, body: { snapshot: snapshot.id } }),
      }),
  };
  return (
    <>
      {status.backups?.choice && <Choice user={user} name={name} choice={status.backups.choice} ask={ask} restore={(id) => orders.restore(list.data?.pages.flatMap((page) => page.snapshots).find((one) => one.id === id) ?? unlisted(id))} />}
      {said}
      <div role="status">{news && <Banner variant={news.isBad ? "alert" : "secondary"} title={news.title} description={news.about} />}</div>
      <Card title="Snapshots" aside={list.data?.pages[0] && <span className="subtle">{list.data.pages[0].total.toLocaleString()} in all</span>} flush>
        <Answer of={list} what="Reading the snapshots">
          {({ pages }) => {
            const all = pages.flatMap((page) => page.snapshots);
            if (all.length === 0) return <Nothing title="There are no snapshots yet" about="The first one is taken soon after the bot's first start." />;
            return <SnapshotTable snapshots={all} orders={orders} />;
          }}
        </Answer>
        <More of={list} words="Older snapshots" />
      </Card>
      <Browse user={user} snapshot={browsing} close={() => setBrowsing(undefined)} />
      {dialog}
    </>
  );
}

/** One that stands on a page that was not loaded: only its id is known here. */
function unlisted(id: string): Snapshot {
  return { id, pinned: false, stored_at: 0, held_until: null, verified_at: null };
}

interface Orders {
  browse: (snapshot: Snapshot) => void;
  pin: (snapshot: Snapshot) => void;
  restore: (snapshot: Snapshot) => void;
}

const COLUMNS = [{ name: "Taken" }, { name: "Why" }, { name: "Files", wide: true }, { name: "Size", wide: true }, { name: "Id", wide: true }, { name: "Actions" }];

function SnapshotTable({ snapshots, orders }: { snapshots: Snapshot[]; orders: Orders }) {
  return (
    <DataTable label="snapshots" columns={COLUMNS}>
      {snapshots.map((one) => {
        const when = exactly(one.taken_at ?? one.stored_at);
        return (
          <Table.Row key={one.id}>
            <Table.Cell className="nowrap">
              <Time at={one.taken_at ?? one.stored_at} />
              <div className="subtle wide-block">{when}</div>
            </Table.Cell>
            <Table.Cell>
              <span className="row wraps-row">
                {reasonWords(one.reason)}
                {one.pinned && <ToneBadge tone="rest">Pinned</ToneBadge>}
                {one.verified_at !== null && <ToneBadge tone="good">Proven</ToneBadge>}
                {one.suspicious != null && <ToneBadge tone="watch">Suspicious</ToneBadge>}
              </span>
              {one.suspicious != null && <div className="subtle wraps">{one.suspicious}</div>}
              {one.held_until !== null && (
                <div className="subtle">
                  held, <Time at={one.held_until} />
                </div>
              )}
            </Table.Cell>
            <Table.Cell className="wide">{one.files?.toLocaleString() ?? "–"}</Table.Cell>
            <Table.Cell className="wide nowrap">{one.bytes === undefined ? "–" : size(one.bytes)}</Table.Cell>
            <Table.Cell className="wide mono" title={one.id}>
              {one.id.slice(0, 10)}
            </Table.Cell>
            <Table.Cell>
              <span className="row wraps-row">
                <Button size="sm" variant="secondary" aria-label={`Restore the snapshot of ${when}`} onClick={() => orders.restore(one)}>
                  Restore …
                </Button>
                <Button size="sm" variant="ghost" aria-label={`Browse the snapshot of ${when}`} onClick={() => orders.browse(one)}>
                  Browse
                </Button>
                <Button size="sm" variant="ghost" aria-label={`${one.pinned ? "Unpin" : "Pin"} the snapshot of ${when}`} onClick={() => orders.pin(one)}>
                  {one.pinned ? "Unpin" : "Pin"}
                </Button>
              </span>
            </Table.Cell>
          </Table.Row>
        );
      })}
    </DataTable>
  );
}
