import { Select } from "@cloudflare/kumo/components/select";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Answer, Card, Nothing } from "../ui/parts";
import { size } from "../words/states";
import { exactly } from "../words/time";
import { useOwnApi } from "./context";
import { series, type Range } from "./queries";

const RANGES = { "24h": "24 hours", "7d": "7 days", "30d": "30 days" } satisfies Partial<Record<Range, string>>;
type Shown = keyof typeof RANGES;

/** How much it used over time. Where it slept there is nothing to draw. */
export function Usage() {
  const [range, setRange] = useState<Shown>("24h");
  const found = useQuery(series(useOwnApi(), range));
  const choose = (value: string | null) => setRange((Object.keys(RANGES) as Shown[]).find((known) => known === value) ?? "24h");
  return (
    <Card title="Usage" aside={<Select size="sm" aria-label="How far back" value={range} onValueChange={choose} items={RANGES} />}>
      <Answer of={found} what="Reading how much it used" lines={3}>
        {({ from, to, step_ms: step, points }) => {
          if (points.every(({ looks }) => looks === 0)) return <Nothing title="It was not awake in this time" />;
          const restarts = points.reduce((sum, point) => sum + point.restarts, 0);
          const span = { from, to, step };
          return (
            <>
              <div className="columns">
                <Trend name="Memory" words={size} {...span} values={points.map(({ at, memory }) => [at, memory])} />
                <Trend name="Processor" words={(thousandths) => `${(thousandths / 10).toFixed(0)}% of a core`} {...span} values={points.map(({ at, cpu }) => [at, cpu])} />
              </div>
              {restarts > 0 && <p className="subtle">It was restarted {restarts === 1 ? "once" : `${restarts} times`} in this time.</p>}
            </>
          );
        }}
      </Answer>
    </Card>
  );
}

type Value = [at: number, value: number | null];

const WIDTH = 320;
const HEIGHT = 64;

/** The parts of a line that have no hole in them. */
export function piecesOf(values: Value[], step: number): [number, number][][] {
  const pieces: [number, number][][] = [];
  let last: number | undefined;
  for (const [at, value] of values) {
    if (value === null) continue;
    if (last === undefined || at - last > 1.5 * step) pieces.push([]);
    pieces.at(-1)?.push([at, value]);
    last = at;
  }
  return pieces;
}

function Trend({ name, words, from, to, step, values }: { name: string; words: (value: number) => string; from: number; to: number; step: number; values: Value[] }) {
  const pieces = piecesOf(values, step);
  const known = pieces.flat().map(([, value]) => value);
  const most = Math.max(...known, 1);
  const x = (at: number) => ((at - from) / Math.max(1, to - from)) * WIDTH;
  const y = (value: number) => HEIGHT - 2 - (value / most) * (HEIGHT - 6);
  if (known.length === 0) return <Nothing title={`${name}: not known`} />;
  const [newest = 0] = known.slice(-1);
  const text = `${name}: at most ${words(most)}, last ${words(newest)}, from ${exactly(from)} on`;
  return (
    <figure className="trend">
      <figcaption className="row between">
        <span>{name}</span>
        <span className="subtle">at most {words(most)}</span>
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={text}>
        <line className="trend-base" x1="0" x2={WIDTH} y1={HEIGHT - 1} y2={HEIGHT - 1} />
        {pieces.map((piece) => {
          const [[first] = [from]] = piece;
          // One point alone still is a mark of a step's width.
          const line = piece.length > 1 ? piece : piece.flatMap(([at, value]) => [[at, value], [at + step, value]] as [number, number][]);
          return <polyline key={first} className="trend-line" points={line.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" ")} />;
        })}
      </svg>
    </figure>
  );
}
