import { describe, expect, it } from "vitest";
import document from "../../../docs/openapi.json";
import runbooks from "virtual:runbooks";
import { ALL_STATES, explain, incidentWords, size, STATES } from "./states";
import { away, lasting } from "./time";
import type { BotStatus, IncidentKind } from "../api/client";

const schemas = document.components.schemas;
const status = (changes: Partial<BotStatus>): BotStatus => ({ state: "running", run: 3, since: 0, health: "healthy", pinned: false, failures: 0, ignored: 0, ...changes });
const NOW = 1_000_000;

describe("what is shown in words", () => {
  it("has words for every state, incident and rule of the API", () => {
    expect([...ALL_STATES].sort()).toEqual([...schemas.BotState.enum].sort());
    for (const kind of schemas.IncidentKind.enum) expect(incidentWords(kind as IncidentKind), kind).toBeTruthy();
    for (const rule of schemas.Rule.enum) {
      expect(runbooks[rule]?.meaning, rule).toBeTruthy();
      expect(runbooks[rule]?.steps.length, rule).toBeGreaterThan(0);
    }
  });

  it("says why a bot is left alone and what to do", () => {
    const told = explain(status({ state: "crash-looped", reason: "gateway.config is malformed", retry_at: NOW + 420_000, failures: 5 }), NOW);
    expect(told.tone).toBe("bad");
    expect(told.headline).toContain(STATES["crash-looped"].name);
    expect(told.because).toEqual(["Gateway.config is malformed.", "5 runs failed since the last stable one.", "It may start again in 7 min."]);
    expect(told.next).toMatch(/restart it/);
  });

  it("shows a running bot with incidents as worth a look", () => {
    expect(explain(status({}), NOW).tone).toBe("good");
    expect(explain(status({ incidents: ["backup-failing"] }), NOW).tone).toBe("watch");
  });

  it("rounds times and sizes as people say them", () => {
    expect([0, 59_000, 61_000, 3_600_000, 90_000_000].map(lasting)).toEqual(["0 s", "59 s", "1 min 1 s", "1 h", "1 d 1 h"]);
    expect([NOW - 1_000, NOW - 64_000, NOW + 7_300_000].map((at) => away(at, NOW))).toEqual(["now", "1 min ago", "in 2 h"]);
    expect([0, 999, 1_500, 45_678_901, 2e12].map(size)).toEqual(["0 B", "999 B", "1.5 kB", "45.7 MB", "2.0 TB"]);
  });
});
