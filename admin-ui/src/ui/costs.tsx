// What costs look like, of the fleet and of one bot.
import { Table } from "@cloudflare/kumo/components/table";
import type { BotCosts, Costs } from "../api/client";
import { money } from "../words/money";
import { DataTable, ToneBadge } from "./parts";

export function CostFigures({ costs }: { costs: Costs }) {
  const figures = [
    ["Today", costs.today_microdollars],
    ["This month so far", costs.month_microdollars],
    ["Forecast for the month", costs.forecast_microdollars],
  ] as const;
  return (
    <ul className="figures">
      {figures.map(([name, amount]) => (
        <li key={name} className="figure">
          <strong>{money(amount)}</strong>
          <span>{name}</span>
        </li>
      ))}
    </ul>
  );
}

const PARTS: [keyof Costs["parts"], string][] = [
  ["container_microdollars", "Containers: memory and disk"],
  ["processor_microdollars", "Containers: processor"],
  ["repository_microdollars", "Repositories: operations"],
  ["requests_microdollars", "Requests to bots"],
  ["clock_microdollars", "Alarms and heartbeats"],
];

export function CostPartsTable({ parts }: { parts: Costs["parts"] }) {
  return (
    <DataTable label="costs by part" columns={[{ name: "Part" }, { name: "This month" }]}>
      {PARTS.map(([part, name]) => (
        <Table.Row key={part}>
          <Table.Cell>{name}</Table.Cell>
          <Table.Cell className="nowrap">{money(parts[part])}</Table.Cell>
        </Table.Row>
      ))}
    </DataTable>
  );
}

export function LevelBadge({ limit }: { limit: BotCosts["limit"] }) {
  if (limit.level === "over") return <ToneBadge tone="bad">Over the limit</ToneBadge>;
  return limit.level === "near" ? <ToneBadge tone="watch">Near the limit</ToneBadge> : null;
}
