import { Table } from "@cloudflare/kumo/components/table";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { BulkOrder } from "../api/client";
import { bulkOrders } from "../api/queries";
import { useApi, useStage } from "../session/context";
import { Answer, Card, DataTable, More, Nothing, Page, Time, ToneBadge } from "../ui/parts";
import { actorWords } from "../words/events";
import { verbName } from "../words/orders";

const COLUMNS = [{ name: "Order" }, { name: "Progress" }, { name: "Which bots", wide: true }, { name: "Ordered" }, { name: "By", wide: true }];

export function Orders() {
  const list = useInfiniteQuery(bulkOrders(useApi()));
  return (
    <Page title="Orders to many bots" about="Each bot is ordered by itself; how that ended stays here.">
      <Card flush>
        <Answer of={list} what="Reading the orders">
          {({ pages }) => {
            const all = pages.flatMap((page) => page.orders);
            if (all.length === 0) return <Nothing title="Nothing was ordered of many bots yet" about="Select bots in the list of bots, or order by its filter." />;
            return <OrderTable orders={all} />;
          }}
        </Answer>
        <More of={list} words="Older orders" />
      </Card>
    </Page>
  );
}

function OrderTable({ orders }: { orders: BulkOrder[] }) {
  const stage = useStage();
  const me = stage.at === "in" ? stage.user : "";
  return (
    <DataTable label="orders" columns={COLUMNS}>
      {orders.map((order) => (
        <Table.Row key={order.id}>
          <Table.Cell>
            <Link to="/orders/$order" params={{ order: String(order.id) }}>
              {verbName(order.verb)}
            </Link>
            <div className="narrow-lines subtle">
              {order.selection}, by {actorWords(order.ordered_by, me)}
            </div>
          </Table.Cell>
          <Table.Cell>
            <OrderState order={order} />
          </Table.Cell>
          <Table.Cell className="wide">{order.selection}</Table.Cell>
          <Table.Cell className="nowrap">
            <Time at={order.ordered_at} />
          </Table.Cell>
          <Table.Cell className="wide">{actorWords(order.ordered_by, me)}</Table.Cell>
        </Table.Row>
      ))}
    </DataTable>
  );
}

export function OrderState({ order }: { order: BulkOrder }) {
  const { failed = 0, refused = 0 } = order.results;
  if (order.stopped_at !== null) return <ToneBadge tone="rest">Stopped</ToneBadge>;
  if (order.finished_at === null) {
    return (
      <ToneBadge tone="passing">
        {(order.bots - order.left).toLocaleString()} of {order.bots.toLocaleString()}
      </ToneBadge>
    );
  }
  return failed + refused > 0 ? <ToneBadge tone="watch">{`${failed + refused} not done`}</ToneBadge> : <ToneBadge tone="good">Finished</ToneBadge>;
}
