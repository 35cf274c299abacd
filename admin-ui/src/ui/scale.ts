// Where things of a chart lie.

export interface ChartPoint {
  at: number;
  /** Null where nobody looked. */
  value: number | null;
}

/** Four steps or so from zero to at least `max`, in round numbers. */
export function ticksOf(max: number): number[] {
  const wanted = Math.max(max, 1) / 4;
  const power = 10 ** Math.floor(Math.log10(wanted));
  const step = Math.max(1, ([1, 2, 5, 10].find((factor) => factor * power >= wanted) ?? 10) * power);
  const count = Math.ceil(Math.max(max, 1) / step);
  return Array.from({ length: count + 1 }, (_, index) => index * step);
}

/** A line through the points; it breaks where nobody looked for longer than a step, and a point by itself is a dot. */
export function pathOf(points: ChartPoint[], step: number, x: (at: number) => number, y: (value: number) => number): string {
  let path = "";
  let last: number | undefined;
  for (const { at, value } of points) {
    if (value === null) {
      last = undefined;
      continue;
    }
    const place = `${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    path += last !== undefined && at - last <= 1.5 * step ? `L${place}` : `M${place}h0`;
    last = at;
  }
  return path;
}

/** The time of the point that lies nearest. */
export function nearest(lines: { points: ChartPoint[] }[], at: number): number | undefined {
  let best: number | undefined;
  for (const { points } of lines) {
    for (const point of points) if (best === undefined || Math.abs(point.at - at) < Math.abs(best - at)) best = point.at;
  }
  return best;
}
