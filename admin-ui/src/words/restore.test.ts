import { describe, expect, it } from "vitest";
import document from "../../../docs/openapi.json";
import type { BotState, BotStatus } from "../api/client";
import { restoreNews, restoreWords, snapshotNews } from "./restore";

type Backups = NonNullable<BotStatus["backups"]>;
const backups = (changes: object) => ({ newest: { id: "bb", at: 1 }, unsaved_since: null, trouble: null, restore_wanted: null, ...changes }) as unknown as Backups;
const status = (state: BotState, changes: Partial<BotStatus> = {}): BotStatus => ({ state, run: 3, since: 0, health: "healthy", pinned: false, failures: 0, ignored: 0, backups: backups({}), ...changes });
const TROUBLE = { doing: "restore", held_up: true, reason: "the storage does not answer", since: 1 };

describe("a restore", () => {
  it("is told with what happens to the home in every state", () => {
    for (const state of document.components.schemas.BotState.enum as BotState[]) {
      const { back, course } = restoreWords(status(state), "your bot");
      expect(/saved first/.test(back), state).toBe(["running", "unhealthy", "starting", "restoring", "stopping", "crash-looped"].includes(state));
      expect(back, state).toMatch(/thirty days/);
      expect(/Nothing happens before/.test(course), state).toBe(state === "stopped" || state === "suspended");
      expect(/gone for about a minute/.test(course), state).toBe(/saved first/.test(back));
    }
  });

  it("wakes a bot that is asleep or waits to be tried again", () => {
    expect(restoreWords(status("asleep"), "your bot").course).toMatch(/^Your bot wakes for it/);
    const { back, course } = restoreWords(status("crash-looped", { retry_at: 5, backups: backups({ newest: null }) }), "the bot");
    expect(course).toMatch(/^The bot wakes for it/);
    expect(back).toBe("There is no snapshot of what there was.");
  });

  it("waits for what cannot be saved, and for a start", () => {
    const held = restoreWords(status("running", { backups: backups({ trouble: TROUBLE }) }), "the bot");
    expect(held.back).toMatch(/the restore waits for that/);
    expect(held.course).toMatch(/The storage does not answer\. Then the bot is gone/);
    expect(held.done).toMatch(/waits until/);
    expect(restoreWords(status("stopped"), "the bot").done).toMatch(/when the bot is started/);
    expect(restoreWords(status("running"), "the bot").done).toBe("The restore was begun.");
  });

  it("is told until it is there, with what holds it up", () => {
    const wanted = (state: BotState, changes: object = {}, more: Partial<BotStatus> = {}) =>
      restoreNews(status(state, { backups: backups({ restore_wanted: { snapshot: "abcdef0123456789" }, ...changes }), ...more }), "your bot");
    expect(restoreNews(status("running"), "your bot")).toBeUndefined();
    expect(wanted("stopped", { trouble: TROUBLE })).toEqual({ title: "Snapshot abcdef0123 waits to be restored", about: "It is restored when your bot is started.", isBad: false });
    expect(wanted("asleep")?.title).toBe("Snapshot abcdef0123 is being restored");
    expect(wanted("restoring", { restore_wanted: "latest", trouble: TROUBLE })).toEqual({
      title: "The restore of a snapshot is held up",
      about: "The storage does not answer. It is tried again by itself.",
      isBad: true,
    });
    const done = { files: 1, bytes: 25 };
    expect(wanted("restoring", {}, { restoring: { doing: "restore", done, total: { files: 4, bytes: 100 } } })?.about).toBe("25% done.");
  });
});

describe("a snapshot", () => {
  it("is told while it is taken, and when that failed", () => {
    expect(snapshotNews(status("running"))).toBeUndefined();
    const job = { doing: "snapshot" as const, done: { files: 1, bytes: 50 }, total: { files: 2, bytes: 100 } };
    expect(snapshotNews(status("running", { under_way: job }))).toEqual({ title: "A snapshot is being taken", about: "50% done.", isBad: false });
    expect(snapshotNews(status("running", { under_way: { ...job, doing: "maintain" } }))).toBeUndefined();
    expect(snapshotNews(status("running", { under_way: job, backups: backups({ trouble: { ...TROUBLE, doing: "snapshot", held_up: false } }) }))).toEqual({
      title: "The last snapshot failed",
      about: "The storage does not answer. It is tried again by itself.",
      isBad: true,
    });
  });
});
