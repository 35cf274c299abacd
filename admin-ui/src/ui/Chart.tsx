// Lines over time, drawn by hand: a tenth of what a chart library weighs. Colours and strokes are classes of the style sheet.
import { useId, useState, type PointerEvent } from "react";
import { pathOf, ticksOf, nearest, type ChartPoint } from "./scale";
import { exactly } from "../words/time";

export interface Line {
  name: string;
  points: ChartPoint[];
}

interface Props {
  title: string;
  from: number;
  to: number;
  /** From one point to the next, in milliseconds. */
  step: number;
  lines: Line[];
  format: (value: number) => string;
  /** What the axis reaches at least, such as what a machine has. */
  atLeast?: number | undefined;
}

const WIDTH = 640;
const HEIGHT = 160;
const LEFT = 72;
const BOTTOM = 22;
const TOP = 8;
/** Times below the axis, both ends included. */
const TIMES = 4;

export function Chart({ title, from, to, step, lines, format, atLeast }: Props) {
  const [at, setAt] = useState<number>();
  const id = useId();
  const values = lines.flatMap(({ points }) => points.flatMap(({ value }) => (value === null ? [] : [value])));
  if (values.length === 0) return <p className="subtle padded">{title}: nobody looked in this time.</p>;
  const ticks = ticksOf(Math.max(...values, atLeast ?? 0));
  const top = ticks.at(-1) ?? 1;
  const x = (time: number) => LEFT + ((time - from) / Math.max(1, to - from)) * (WIDTH - LEFT - 8);
  const y = (value: number) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - BOTTOM - TOP);
  const isLong = to - from > 3 * 86_400_000;
  const times = Array.from({ length: TIMES }, (_, index) => from + ((to - from) * index) / (TIMES - 1));
  const point = (event: PointerEvent<SVGSVGElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    const place = ((event.clientX - box.left) / box.width) * WIDTH;
    setAt(nearest(lines, from + ((place - LEFT) / (WIDTH - LEFT - 8)) * (to - from)));
  };
  return (
    <figure className="chart" aria-labelledby={id}>
      <figcaption id={id}>
        <strong>{title}</strong>
        <span className="row wraps-row legend">
          {lines.map(({ name, points }, index) => (
            <span key={name} className={`key line-${index}`}>
              {name} <span className="subtle">{said(points, at, format)}</span>
            </span>
          ))}
          {at !== undefined && <span className="subtle nowrap">{exactly(at)}</span>}
        </span>
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true" onPointerMove={point} onPointerLeave={() => setAt(undefined)}>
        {ticks.map((tick) => (
          <g key={tick}>
            <line className="grid" x1={LEFT} x2={WIDTH - 8} y1={y(tick)} y2={y(tick)} />
            <text x={LEFT - 6} y={y(tick) + 4} textAnchor="end">
              {format(tick)}
            </text>
          </g>
        ))}
        {times.map((time, index) => (
          <text key={time} x={x(time)} y={HEIGHT - 4} textAnchor={index === 0 ? "start" : index === TIMES - 1 ? "end" : "middle"}>
            {new Date(time).toLocaleString(undefined, isLong ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit" })}
          </text>
        ))}
        {lines.map(({ name, points }, index) => (
          <path key={name} className={`stroke line-${index}`} d={pathOf(points, step, x, y)} />
        ))}
        {at !== undefined && <line className="at" x1={x(at)} x2={x(at)} y1={TOP} y2={HEIGHT - BOTTOM} />}
      </svg>
      <details>
        <summary>As a table</summary>
        <div className="scrolls table-of" tabIndex={0} role="region" aria-label={`Table: ${title}`}>
          <table>
            <thead>
              <tr>
                <th>Time</th>
                {lines.map(({ name }) => (
                  <th key={name}>{name}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {lines[0]?.points.map((row, index) => (
                <tr key={row.at}>
                  <td>{exactly(row.at)}</td>
                  {lines.map(({ name, points }) => {
                    const value = points[index]?.value ?? null;
                    return <td key={name}>{value === null ? "–" : format(value)}</td>;
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}

/** The value where one points, else the newest and the highest. */
function said(points: ChartPoint[], at: number | undefined, format: (value: number) => string): string {
  if (at !== undefined) {
    const value = points.find((point) => point.at === at)?.value ?? null;
    return value === null ? "–" : format(value);
  }
  const values = points.flatMap(({ value }) => (value === null ? [] : [value]));
  const last = values.at(-1);
  return last === undefined ? "–" : `${format(last)}, at most ${format(Math.max(...values))}`;
}
