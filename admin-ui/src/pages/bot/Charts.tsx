import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { BotPoint, BotStatus } from "../../api/client";
import { botSeries, type Range } from "../../api/queries";
import { useApi } from "../../session/context";
import { Chart } from "../../ui/Chart";
import { Answer, Card } from "../../ui/parts";
import { RangeTabs } from "../../ui/RangeTabs";
import { size } from "../../words/states";

const of = (points: BotPoint[], value: (point: BotPoint) => number | null) => points.map((point) => ({ at: point.at, value: value(point) }));
const cores = (thousandths: number) => `${(thousandths / 1_000).toLocaleString(undefined, { maximumFractionDigits: 2 })} cores`;
const percent = (value: number) => `${Math.round(value)}%`;
const milliseconds = (value: number) => `${Math.round(value).toLocaleString()} ms`;

/** A bot over time. Where it slept nobody looked, and there is no line. */
export function Charts({ user, status }: { user: string; status: BotStatus | undefined }) {
  const [range, setRange] = useState<Range>("24h");
  const series = useQuery(botSeries(useApi(), user, range));
  return (
    <Card title="Over time" aside={<RangeTabs range={range} choose={setRange} />}>
      <p className="subtle">A line breaks while the bot sleeps: nobody looks then.</p>
      <Answer of={series} what="Reading the time series">
        {({ from, to, step_ms, points }) => (
          <div className="columns">
            <Chart
              title="Memory"
              from={from}
              to={to}
              step={step_ms}
              format={size}
              atLeast={status?.memory?.size ?? undefined}
              lines={[
                { name: "Average", points: of(points, ({ memory }) => memory) },
                { name: "Highest", points: of(points, ({ memory_max }) => memory_max) },
              ]}
            />
            <Chart
              title="Processor"
              from={from}
              to={to}
              step={step_ms}
              format={cores}
              lines={[
                { name: "Average", points: of(points, ({ cpu }) => cpu) },
                { name: "Highest", points: of(points, ({ cpu_max }) => cpu_max) },
              ]}
            />
            <Chart title="Disk" from={from} to={to} step={step_ms} format={size} atLeast={status?.disk?.size ?? undefined} lines={[{ name: "Highest", points: of(points, ({ disk }) => disk) }]} />
            <Chart
              title="Healthy"
              from={from}
              to={to}
              step={step_ms}
              format={percent}
              atLeast={100}
              lines={[{ name: "Share of looks", points: of(points, ({ healthy, looks }) => (looks === 0 ? null : (healthy / looks) * 100)) }]}
            />
            <Chart
              title="Answer of the gateway to a probe"
              from={from}
              to={to}
              step={step_ms}
              format={milliseconds}
              lines={[
                { name: "Average", points: of(points, ({ latency }) => latency) },
                { name: "Highest", points: of(points, ({ latency_max }) => latency_max) },
              ]}
            />
            <Chart title="Restarts" from={from} to={to} step={step_ms} format={(value) => value.toLocaleString()} lines={[{ name: "Restarts", points: of(points, ({ restarts, looks }) => (looks === 0 ? null : restarts)) }]} />
          </div>
        )}
      </Answer>
    </Card>
  );
}
