import { QueryClient } from "@tanstack/react-query";
import { describe, expect, it } from "vitest";
import document from "../../../docs/openapi.json";
import { calls, type BotState, type BotStatus, type Snapshot } from "../api/client";
import { archiveOf, below, fileOf, stepsOf } from "./files";
import { ordersFor } from "./orders";
import { entries } from "./queries";
import { piecesOf } from "./Usage";
import { dollars, explainOwn, replacedWords } from "./words";

const NOW = 1_000_000_000;
const status = (changes: Partial<BotStatus>): BotStatus => ({ state: "running", run: 3, since: 0, health: "healthy", pinned: false, failures: 0, ignored: 0, ...changes });
const backups = (changes: object) =>
  ({ choice: null, newest: null, unsaved_since: null, trouble: null, restore_wanted: null, ...changes }) as unknown as NonNullable<BotStatus["backups"]>;

describe("what an owner is told", () => {
  it("is in the second person in every state", () => {
    for (const state of document.components.schemas.BotState.enum as BotState[]) {
      const { headline, next } = explainOwn(status({ state }), NOW);
      expect(`${headline} ${next}`, state).not.toMatch(/owner/);
      expect(headline.length, state).toBeGreaterThan(15);
    }
  });

  it("has the reason and when it is tried again", () => {
    const told = explainOwn(status({ state: "crash-looped", reason: "the config is malformed", retry_at: NOW + 420_000 }), NOW);
    expect(told.because).toEqual(["The config is malformed.", "It is tried again in 7 min."]);
    expect(told.next).toMatch(/restore a snapshot/);
  });

  it("wakes nothing that has cost what it may", () => {
    const incidents: BotStatus["incidents"] = ["spend-over-limit"];
    const asleep = explainOwn(status({ state: "asleep", incidents }), NOW);
    expect(asleep.headline).toMatch(/does not wake until the next month/);
    expect(asleep.headline).not.toMatch(/wakes up when you open it/);
    expect(asleep.next).toMatch(/higher limit/);
    expect(ordersFor({ state: "asleep", pinned: false, incidents }, true).map(({ verb }) => verb)).toEqual(["Keep awake", "Stop"]);
    expect(explainOwn(status({ state: "running", incidents }), NOW).because).toEqual(["It has cost more than it may."]);
  });

  it("names what a restore replaces, and by what", () => {
    const snapshot = { id: "aa", stored_at: 1, taken_at: NOW - 7_200_000, files: 3, bytes: 400, pinned: false, held_until: null, verified_at: null } as Snapshot;
    const saved = replacedWords(snapshot, status({ backups: backups({ newest: { id: "bb", at: NOW - 60_000 } }) }), NOW);
    expect(saved.replaced).toMatch(/as it was saved 1 min ago/);
    expect(saved.by).toMatch(/2 h ago.*3 files, 400 B/);
    const unsaved = replacedWords(snapshot, status({ backups: backups({ unsaved_since: NOW - 300_000 }) }), NOW);
    expect(unsaved.replaced).toMatch(/changes of the last 5 min/);
  });

  it("tells money as people do", () => {
    expect([0, 4_000, 10_000, 12_345_678].map(dollars)).toEqual(["$0.00", "less than $0.01", "$0.01", "$12.35"]);
  });
});

describe("orders of an owner", () => {
  const verbs = (state: BotState, mayChange = true, pinned = false) => ordersFor({ state, pinned }, mayChange).map(({ verb }) => verb);

  it("are those that make sense in its state", () => {
    expect(verbs("running")).toEqual(["Restart", "Take snapshot", "Put to sleep", "Keep awake", "Stop"]);
    expect(verbs("asleep", true, true)).toEqual(["Restart", "Let it sleep when idle", "Stop"]);
    expect(verbs("stopped")).toEqual(["Start", "Keep awake"]);
    expect(verbs("suspended")).toEqual([]);
  });

  it("are the buttons alone where the page may change nothing", () => {
    expect(verbs("running", false)).toEqual(["Restart"]);
    expect(verbs("stopped", false)).toEqual(["Start"]);
  });
});

describe("what is in a snapshot", () => {
  it("is addressed by names of any bytes", () => {
    const path = below(below("", { name: "50% & more" }), { name: "�", encoded_name: "%FF" });
    expect(path).toBe("50%25%20%26%20more/%FF");
    // The Worker decodes what stands there once, and nothing has decoded it before.
    expect(fileOf("aa", path)).toBe("/api/bot/snapshots/file?snapshot=aa&path=50%25%20%26%20more/%FF");
    expect(stepsOf(path)).toEqual([
      { path: "50%25%20%26%20more", name: "50% & more" },
      { path, name: "%FF" },
    ]);
    expect(archiveOf("aa")).toBe("/api/bot/snapshots/archive?snapshot=aa");
  });

  it("is asked for by a query that encodes no name twice", async () => {
    const asked: string[] = [];
    const api = calls({ credentials: "same-origin", header: async () => undefined, refused: () => undefined }, async ({ url }) => {
      asked.push(url);
      return new Response("[]", { headers: { "content-type": "application/json" } });
    });
    const queries = new QueryClient();
    for (const path of ["", below("", { name: "My notes ä" })]) await queries.fetchQuery(entries(api, "aa", path));
    expect(asked.map((url) => url.split("?")[1])).toEqual(["snapshot=aa", "snapshot=aa&path=My%20notes%20%C3%A4"]);
  });
});

describe("a line over time", () => {
  it("has a hole where nothing was known", () => {
    const values: [number, number | null][] = [[0, 1], [10, 2], [20, null], [30, 3], [60, 4]];
    expect(piecesOf(values, 10)).toEqual([[[0, 1], [10, 2]], [[30, 3]], [[60, 4]]]);
  });
});
