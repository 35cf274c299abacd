import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { FleetPoint } from "../api/client";
import { fleetSeries, type Range } from "../api/queries";
import { useApi } from "../session/context";
import { Chart } from "../ui/Chart";
import { Answer, Card } from "../ui/parts";
import { RangeTabs } from "../ui/RangeTabs";

const whole = (value: number) => value.toLocaleString();
const of = (points: FleetPoint[], value: (point: FleetPoint) => number) => points.map((point) => ({ at: point.at, value: point.looks === 0 ? null : value(point) }));

/** The fleet over time. */
export function FleetCharts() {
  const [range, setRange] = useState<Range>("24h");
  const series = useQuery(fleetSeries(useApi(), range));
  return (
    <Card title="Over time" aside={<RangeTabs range={range} choose={setRange} />}>
      <Answer of={series} what="Reading the time series">
        {({ from, to, step_ms, points }) => (
          <div className="columns">
            <Chart
              title="Bots"
              from={from}
              to={to}
              step={step_ms}
              format={whole}
              lines={[
                { name: "Registered", points: of(points, (point) => point.registered) },
                { name: "Awake", points: of(points, (point) => point.awake_max) },
              ]}
            />
            <Chart
              title="What is wrong"
              from={from}
              to={to}
              step={step_ms}
              format={whole}
              lines={[
                { name: "Open incidents", points: of(points, (point) => point.incidents) },
                { name: "Unhealthy, backing off or in a crash loop", points: of(points, (point) => point.unhealthy + point.backing_off + point.crash_looped) },
                { name: "Waiting for a place", points: of(points, (point) => point.waiting) },
              ]}
            />
          </div>
        )}
      </Answer>
    </Card>
  );
}
