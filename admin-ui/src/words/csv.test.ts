import { describe, expect, it } from "vitest";
import { csv } from "./csv";
import { eventMatches } from "./events";
import { microdollars, money } from "./money";
import type { Event } from "../api/client";

const event = (changes: Partial<Event>): Event => ({
  id: 1, at: 0, kind: "ordered", action: "admin-stop-bot", actor: "an-admin", user_id: null, status: 200, code: null, detail: null, run: null, address: "192.0.2.7", agent: null, request_id: null,
  ...changes,
});

describe("the audit log", () => {
  it("is exported with quotes where they are needed, and without formulas", () => {
    expect(csv(["a", "b"], [['say "hi", you', null], ["=HYPERLINK(1)", 3], ["@SUM(1)", -4]])).toBe('sep=,\r\na,b\r\n"say ""hi"", you",\r\n"\'=HYPERLINK(1)",3\r\n"\'@SUM(1)",-4\r\n');
  });

  it("is exported without formulas behind another separator or in full width", () => {
    const cells = ["x;=HYPERLINK(1)", "x\t +1", "\n=1", "x\r\n@SUM(1)", "＝1", 'x;"=1', "1-2 = -1"];
    const lines = ["x;'=HYPERLINK(1)", "x\t '+1", "\n'=1", "x\r\n'@SUM(1)", "'＝1", 'x;""\'=1'].map((text) => `"${text}"`);
    expect(csv(["a"], [cells])).toBe(`sep=,\r\na\r\n${[...lines, "1-2 = -1"].join(",")}\r\n`);
  });

  it("is filtered by words and kind, and hides looks until asked", () => {
    expect(eventMatches(event({}), { search: "STOP-bot" })).toBe(true);
    expect(eventMatches(event({}), { search: "192.0.2.8" })).toBe(false);
    expect(eventMatches(event({}), { kind: "changed" })).toBe(false);
    expect(eventMatches(event({ kind: "inspected" }), {})).toBe(false);
    expect(eventMatches(event({ kind: "inspected" }), { looks: true })).toBe(true);
    expect(eventMatches(event({ kind: "inspected" }), { kind: "inspected" })).toBe(true);
  });
});

describe("money", () => {
  it("is shown in dollars, and what is less than a cent is not nothing", () => {
    expect([0, 1, 9_999, 10_000, 1_234_567_890].map(money)).toEqual(["$0.00", "< $0.01", "< $0.01", "$0.01", "$1,234.57"]);
  });

  it("is taken only as an amount the platform takes", () => {
    expect(["5", "$0.01", " 12.5 "].map(microdollars)).toEqual([5_000_000, 10_000, 12_500_000]);
    expect(["", "0", "-1", "1e3", "0.001", "1000001", "five"].map(microdollars)).toEqual(Array(7).fill(undefined));
  });
});
