import { describe, expect, it } from "vitest";
import document from "../../../docs/openapi.json";
import { OUTCOMES, VERBS } from "../words/orders";
import { changesOf, settingsWith } from "./settings/Rules";
import { KINDS } from "./settings/Sinks";
import { ordersFor } from "./User";

const schemas = document.components.schemas;

describe("the pages", () => {
  it("know every order to many bots, its outcomes, and every kind of sink", () => {
    expect(Object.keys(VERBS).sort()).toEqual([...schemas.BulkVerb.enum].sort());
    expect(Object.keys(OUTCOMES).sort()).toEqual([...schemas.BulkOutcome.enum].sort());
    expect(Object.keys(KINDS).sort()).toEqual([...schemas.SinkKind.enum].sort());
  });

  it("offer of a user what changes their status, and undoes it", () => {
    const verbs = (status: "active" | "suspended" | "deleted") => ordersFor({ status, email: null, user_id: "x" }).map(({ verb }) => verb);
    expect(verbs("active")).toEqual(["Suspend", "Delete"]);
    expect(verbs("suspended")).toEqual(["Activate", "Delete"]);
    expect(verbs("deleted")).toEqual(["Activate"]);
  });

  it("change one threshold without losing the others", () => {
    const rule = { severity: "warning" as const, title: "", runbook: "" };
    const rules = [
      { ...rule, rule: "crash-loop" as const, opens_after_s: 60, closes_after_s: 120, off: false },
      { ...rule, rule: "cron-late" as const, opens_after_s: 300, closes_after_s: 60, off: true },
    ];
    const quiet = { from: "22:00", to: "07:00" };
    const late = { rule: "cron-late", opens_after_s: 300, closes_after_s: 60, off: true };
    const changed = { rule: "crash-loop" as const, ...changesOf({ opens_after_s: 60, off: true }, { opens_after_s: 90, off: true }) };
    // Another admin has switched it on and changed its end since the dialog was opened: both stay.
    expect(settingsWith({ quiet, rules }, { rule: changed })).toEqual({ quiet, rules: [{ rule: "crash-loop", opens_after_s: 90, closes_after_s: 120, off: false }, late] });
    expect(settingsWith({ quiet, rules }, { quiet: null })).toEqual({ quiet: null, rules: [{ rule: "crash-loop", opens_after_s: 60, closes_after_s: 120, off: false }, late] });
  });
});
