import { Table } from "@cloudflare/kumo/components/table";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ListedCosts } from "../api/client";
import { fleetCosts } from "../api/queries";
import { useApi } from "../session/context";
import { CostFigures, CostPartsTable, LevelBadge } from "../ui/costs";
import { Answer, Card, Nothing, Page } from "../ui/parts";
import { VirtualTable, type Pages } from "../ui/VirtualTable";
import { money } from "../words/money";
import { lasting } from "../words/time";

const ROW_HEIGHT = 64;
const COLUMNS = [{ name: "Owner" }, { name: "This month" }, { name: "Today", wide: true }, { name: "Forecast", wide: true }, { name: "Limit" }, { name: "Ran this month", wide: true }];

export function Costs() {
  const list = useInfiniteQuery(fleetCosts(useApi()));
  return (
    <Page title="Costs" about="What Cloudflare charges for the bots by its list prices, before what a plan includes. The most expensive first.">
      <Answer of={list} what="Adding up the costs" lines={8}>
        {({ pages }) => {
          const [first] = pages;
          const bots = pages.flatMap((page) => page.bots);
          return (
            <>
              {first && (
                <>
                  <CostFigures costs={first.costs} />
                  <Card title={`By what it was for, ${first.basis.month}`} flush>
                    <CostPartsTable parts={first.costs.parts} />
                    <p className="subtle padded">
                      Instance type {first.basis.instance_type}; prices as of {first.basis.prices_as_of}.
                    </p>
                  </Card>
                </>
              )}
              <Card title="By bot" flush>
                {bots.length === 0 ? <Nothing title="No bot has cost anything yet" /> : <CostTable bots={bots} list={list} />}
              </Card>
            </>
          );
        }}
      </Answer>
    </Page>
  );
}

function CostTable({ bots, list }: { bots: ListedCosts[]; list: Pages }) {
  return (
    <VirtualTable
      label="costs"
      columns={COLUMNS}
      rows={bots}
      rowHeight={ROW_HEIGHT}
      idOf={({ user_id }) => user_id}
      pages={list}
      cells={(bot) => (
        <>
          <Table.Cell className="owner">
            <Link to="/bots/$user" params={{ user: bot.user_id }} search={{ part: "costs" }} className="clipped block" preload={false}>
              {bot.email ?? "no e-mail address"}
            </Link>
            <div className="subtle mono clipped" title={bot.user_id}>
              {bot.user_id}
            </div>
          </Table.Cell>
          <Table.Cell className="nowrap">{money(bot.month_microdollars)}</Table.Cell>
          <Table.Cell className="wide nowrap">{money(bot.today_microdollars)}</Table.Cell>
          <Table.Cell className="wide nowrap">{money(bot.forecast_microdollars)}</Table.Cell>
          <Table.Cell>
            <span className="row wraps-row">
              {bot.limit.limit_microdollars === null ? <span className="subtle">none</span> : money(bot.limit.limit_microdollars)}
              <LevelBadge limit={bot.limit} />
            </span>
          </Table.Cell>
          <Table.Cell className="wide nowrap">{lasting(bot.running_ms)}</Table.Cell>
        </>
      )}
    />
  );
}
