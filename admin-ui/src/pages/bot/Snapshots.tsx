import { Table } from "@cloudflare/kumo/components/table";
import { useInfiniteQuery } from "@tanstack/react-query";
import type { Snapshot } from "../../api/client";
import { snapshots } from "../../api/queries";
import { useApi } from "../../session/context";
import { Answer, Card, DataTable, More, Nothing, Time, ToneBadge } from "../../ui/parts";
import { size } from "../../words/states";

export function Snapshots({ user }: { user: string }) {
  const list = useInfiniteQuery(snapshots(useApi(), user));
  return (
    <Card title="Snapshots" flush>
      <Answer of={list} what="Reading the snapshots">
        {({ pages }) => {
          const all = pages.flatMap((page) => page.snapshots);
          if (all.length === 0) return <Nothing title="There are no snapshots yet" about="The first one is taken soon after the bot's first start." />;
          return <SnapshotTable snapshots={all} />;
        }}
      </Answer>
      <More of={list} words="Older snapshots" />
    </Card>
  );
}

const COLUMNS = [{ name: "Taken" }, { name: "Why" }, { name: "Files", wide: true }, { name: "Size", wide: true }, { name: "Id", wide: true }];

function SnapshotTable({ snapshots }: { snapshots: Snapshot[] }) {
  return (
    <DataTable label="snapshots" columns={COLUMNS}>
          {snapshots.map((one) => (
            <Table.Row key={one.id}>
              <Table.Cell className="nowrap">
                <Time at={one.taken_at ?? one.stored_at} />
              </Table.Cell>
              <Table.Cell>
                <span className="row wraps-row">
                  {one.reason ?? <span className="subtle">not known</span>}
                  {one.pinned && <ToneBadge tone="rest">Pinned</ToneBadge>}
                  {one.suspicious != null && <ToneBadge tone="watch">Suspicious: {one.suspicious}</ToneBadge>}
                </span>
              </Table.Cell>
              <Table.Cell className="wide">{one.files?.toLocaleString() ?? "–"}</Table.Cell>
              <Table.Cell className="wide nowrap">{one.bytes === undefined ? "–" : size(one.bytes)}</Table.Cell>
              <Table.Cell className="wide mono" title={one.id}>
                {one.id.slice(0, 10)}
              </Table.Cell>
            </Table.Row>
          ))}
    </DataTable>
  );
}
