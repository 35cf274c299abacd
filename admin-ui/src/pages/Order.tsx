import { Button } from "@cloudflare/kumo/components/button";
import { Tabs } from "@cloudflare/kumo/components/tabs";
import { Table } from "@cloudflare/kumo/components/table";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import type { BulkBot, BulkOrder, BulkOutcome } from "../api/client";
import { bulkOrder } from "../api/queries";
import { useApi, useStage } from "../session/context";
import { Answer, Card, DataTable, More, Nothing, Page, Time, ToneBadge } from "../ui/parts";
import { useAsk } from "../ui/useAsk";
import { actorWords } from "../words/events";
import { OUTCOMES, verbName } from "../words/orders";
import { OrderState } from "./Orders";

const route = getRouteApi("/orders/$order");
const ALL = "all";
const ALL_OUTCOMES = Object.keys(OUTCOMES) as BulkOutcome[];

export function OrderPage() {
  const id = Number(route.useParams().order);
  const api = useApi();
  const [outcome, setOutcome] = useState<BulkOutcome>();
  const list = useInfiniteQuery(bulkOrder(api, id, outcome));
  const { ask, dialog, said } = useAsk();
  const order = list.data?.pages[0]?.order;
  const stop = () =>
    order &&
    ask({
      title: `Stop the order “${verbName(order.verb)}”?`,
      consequences: <p>The {order.left.toLocaleString()} bots whose turn has not come are not ordered. What was ordered stays ordered.</p>,
      verb: "Stop the order",
      destroys: true,
      done: "The order is stopped.",
      changes: [["bulk"]],
      act: () => api.POST("/api/admin/bulk/{order}/stop", { params: { path: { order: id } } }),
    });
  return (
    <Page
      title={order ? `${verbName(order.verb)}: ${order.bots.toLocaleString()} ${order.bots === 1 ? "bot" : "bots"}` : `Order ${id}`}
      about={
        <>
          <Link to="/orders">Orders to many bots</Link> / {id}
        </>
      }
      actions={
        order && (
          <>
            <OrderState order={order} />
            {order.finished_at === null && order.stopped_at === null && (
              <Button size="sm" variant="secondary-destructive" onClick={stop}>
                Stop the order
              </Button>
            )}
          </>
        )
      }
    >
      {said}
      {order && <Progress order={order} />}
      <Tabs
        variant="segmented"
        tabs={[{ value: ALL, label: "All" }, ...ALL_OUTCOMES.map((value) => ({ value, label: OUTCOMES[value].name }))]}
        value={outcome ?? ALL}
        onValueChange={(value) => setOutcome(ALL_OUTCOMES.find((known) => known === value))}
      />
      <Card flush>
        <Answer of={list} what="Reading the order">
          {({ pages }) => {
            const bots = pages.flatMap((page) => page.bots);
            return bots.length === 0 ? <Nothing title="No bot came to this end" /> : <BotTable bots={bots} />;
          }}
        </Answer>
        <More of={list} words="More bots" />
      </Card>
      {dialog}
    </Page>
  );
}

function Progress({ order }: { order: BulkOrder }) {
  const stage = useStage();
  const ended = order.bots - order.left;
  return (
    <Card title="Progress">
      <progress className="progress" value={ended} max={Math.max(1, order.bots)} aria-label="Bots that came to an end" />
      <p role="status">
        {ended.toLocaleString()} of {order.bots.toLocaleString()} came to an end
        {ALL_OUTCOMES.map((outcome) => {
          const count = order.results[outcome] ?? 0;
          return count > 0 ? `, ${count.toLocaleString()} ${OUTCOMES[outcome].name.toLowerCase()}` : "";
        }).join("")}
        .
      </p>
      <p className="subtle">
        {order.selection}. Ordered by {actorWords(order.ordered_by, stage.at === "in" ? stage.user : "")} <Time at={order.ordered_at} />. This page may be left: the order goes on.
      </p>
    </Card>
  );
}

const COLUMNS = [{ name: "Bot" }, { name: "Result" }, { name: "Why" }, { name: "When", wide: true }];

function BotTable({ bots }: { bots: BulkBot[] }) {
  return (
    <DataTable label="bots of the order" columns={COLUMNS}>
      {bots.map((bot) => (
        <Table.Row key={bot.user_id}>
          <Table.Cell className="owner">
            <Link to="/bots/$user" params={{ user: bot.user_id }} className="mono clipped block" preload={false}>
              {bot.user_id}
            </Link>
          </Table.Cell>
          <Table.Cell>{bot.outcome === null ? <ToneBadge tone="passing">Waiting</ToneBadge> : <ToneBadge tone={OUTCOMES[bot.outcome]?.tone ?? "rest"}>{OUTCOMES[bot.outcome]?.name ?? bot.outcome}</ToneBadge>}</Table.Cell>
          <Table.Cell className="wraps">{bot.detail ?? <span className="subtle">–</span>}</Table.Cell>
          <Table.Cell className="wide nowrap">
            <Time at={bot.done_at} none="–" />
          </Table.Cell>
        </Table.Row>
      ))}
    </DataTable>
  );
}
