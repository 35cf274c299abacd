import { describe, expect, it } from "vitest";
import { nearest, pathOf, ticksOf } from "./scale";

const same = (value: number) => value;

describe("a chart", () => {
  it("has round steps that reach its highest value", () => {
    expect(ticksOf(0)).toEqual([0, 1]);
    expect(ticksOf(7)).toEqual([0, 2, 4, 6, 8]);
    expect(ticksOf(103)).toEqual([0, 50, 100, 150]);
    expect(ticksOf(4e9).at(-1)).toBe(4e9);
  });

  it("breaks its line where nobody looked", () => {
    const points = [1, 2, null, 4].map((value, at) => ({ at, value }));
    expect(pathOf(points, 1, same, same)).toBe("M0.0 1.0h0L1.0 2.0M3.0 4.0h0");
    // A step without a point is such a time as well.
    expect(pathOf([{ at: 0, value: 1 }, { at: 2, value: 1 }], 1, same, same)).toBe("M0.0 1.0h0M2.0 1.0h0");
  });

  it("finds the point one points at", () => {
    expect(nearest([{ points: [0, 10, 20].map((at) => ({ at, value: 1 })) }], 14)).toBe(10);
    expect(nearest([], 14)).toBeUndefined();
  });
});
