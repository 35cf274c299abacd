// What an owner can order of their bot, and what each order does.
import type { Api, BotStatus } from "../api/client";
import { isSpent } from "./words";

export interface Order {
  verb: string;
  title: string;
  consequences: string;
  destroys?: boolean;
  /** What is said once it was taken. */
  done: string;
  run: (api: Api, force: boolean) => Promise<unknown>;
  /** It may be refused because something cannot be saved. */
  mayLose?: boolean;
  /** A page without a CSRF token may give it as well: our pages have a button for it. */
  isButton?: boolean;
}

const body = (force: boolean) => (force ? { body: { force: true } } : {});

const START: Order = {
  verb: "Start",
  title: "Let your bot run again?",
  consequences: "It wakes up the next time you open it.",
  done: "It may run again. Open it to wake it.",
  run: (api) => api.POST("/api/bot/start", {}),
  isButton: true,
};

function restart(isUp: boolean): Order {
  return {
    verb: "Restart",
    title: "Restart your bot?",
    consequences: isUp
      ? "It is gone for about half a minute. Its files stay as they are; what it is doing right now is interrupted."
      : "It starts now, with its files from the newest snapshot. Earlier failures are forgotten.",
    done: "It starts afresh.",
    run: (api) => api.POST("/api/bot/restart", {}),
    isButton: true,
  };
}

const SNAPSHOT: Order = {
  verb: "Take snapshot",
  title: "Take a snapshot now?",
  consequences: "Its home is saved as it is at this moment, beside the snapshots there are. It goes on running.",
  done: "The snapshot was begun. It appears in the list when it is stored.",
  run: (api) => api.POST("/api/bot/snapshots", {}),
};

const SLEEP: Order = {
  verb: "Put to sleep",
  title: "Put your bot to sleep?",
  consequences: "Its home is saved, then it stops and costs nothing but its storage. It wakes up the next time you open it.",
  done: "It goes to sleep.",
  mayLose: true,
  run: (api, force) => api.POST("/api/bot/sleep", body(force)),
};

const STOP: Order = {
  verb: "Stop",
  title: "Stop your bot?",
  consequences: "Its home is saved, then it stops. Nothing wakes it, no message and no visit, until you start it here again.",
  destroys: true,
  done: "It stops.",
  mayLose: true,
  run: (api, force) => api.POST("/api/bot/stop", body(force)),
};

const PIN: Order = {
  verb: "Keep awake",
  title: "Never put your bot to sleep for being idle?",
  consequences: "It goes on running when nobody uses it, and costs accordingly. Its monthly limit still holds.",
  done: "It stays awake from now on.",
  run: (api) => api.POST("/api/bot/pin", {}),
};

const UNPIN: Order = {
  verb: "Let it sleep when idle",
  title: "Let your bot sleep when nobody uses it?",
  consequences: "It is put to sleep when nobody has used it for a while, and wakes up when you open it.",
  done: "It sleeps when it is idle.",
  run: (api) => api.POST("/api/bot/unpin", {}),
};

/** The orders that make sense for a bot in this state. */
export function ordersFor(status: Pick<BotStatus, "state" | "pinned" | "incidents">, mayChange: boolean): Order[] {
  const { state, pinned } = status;
  const isUp = ["running", "unhealthy", "starting", "restoring"].includes(state);
  const orders: Order[] = [];
  if (state === "suspended") return orders;
  if (state === "stopped") orders.push(START);
  else if (state !== "starting" && state !== "restoring" && !isSpent(status)) orders.push(restart(state === "running" || state === "unhealthy"));
  if (isUp) orders.push(SNAPSHOT, SLEEP);
  orders.push(pinned ? UNPIN : PIN);
  if (state !== "stopped") orders.push(STOP);
  return orders.filter(({ isButton }) => mayChange || isButton);
}
