import { Banner } from "@cloudflare/kumo/components/banner";
import { Button } from "@cloudflare/kumo/components/button";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { Api, BotStatus } from "../../api/client";
import { useApi } from "../../session/context";
import { Confirm, type Question } from "../../ui/Confirm";

/** What is asked before an order is given, and what it does to whom. */
interface Action {
  verb: string;
  title: string;
  consequences: string;
  destroys?: boolean;
  /** What is said once it was taken. */
  done: string;
  run: (api: Api, user: string, force: boolean) => Promise<unknown>;
  /** It may be refused because something cannot be saved. */
  mayLose?: boolean;
}

const body = (force: boolean) => (force ? { body: { force: true } } : {});
const of = (user: string) => ({ params: { path: { user } } });

/** The orders that make sense for a bot in this state, in words about `name`. */
export function actionsFor(status: Pick<BotStatus, "state" | "pinned" | "backups">, name: string): Action[] {
  const { state } = status;
  const cannotSave = Boolean(status.backups?.trouble);
  const isUp = ["running", "unhealthy", "starting", "restoring"].includes(state);
  const isHeld = state === "stopped" || state === "suspended";
  const actions: Action[] = [];
  if (isHeld) {
    actions.push({
      verb: "Start",
      title: `Let ${name}'s bot run again?`,
      consequences: state === "suspended" ? "The suspension of the bot ends, and its owner's next request wakes it. If the account is suspended, it has to be activated as well." : "It was stopped. Its owner's next request wakes it then.",
      done: "It may run again.",
      run: (api, user) => api.POST("/api/admin/bots/{user}/start", of(user)),
    });
  } else if (state !== "starting" && state !== "restoring") {
    const isAwake = state === "running" || state === "unhealthy";
    actions.push({
      verb: "Restart",
      title: `Restart ${name}'s bot?`,
      consequences: isAwake
        ? "Its gateway starts afresh; its container and its home stay. Whoever talks to it is interrupted for about half a minute."
        : "A container starts now, and its home is brought back from the newest snapshot. Earlier failures are forgotten.",
      done: "It starts afresh.",
      run: (api, user) => api.POST("/api/admin/bots/{user}/restart", of(user)),
    });
  }
  if (isUp) {
    actions.push(
      {
        verb: "Take snapshot",
        title: `Take a snapshot of ${name}'s bot now?`,
        consequences: "Its home is saved as it is at this moment, beside the snapshots there are. It goes on running.",
        done: "The snapshot was begun.",
        run: (api, user) => api.POST("/api/admin/bots/{user}/snapshots", of(user)),
      },
      {
        verb: "Put to sleep",
        title: `Put ${name}'s bot to sleep?`,
        consequences: "Its home is saved, then its container ends. Whoever talks to it is interrupted; its owner's next request wakes it.",
        done: "It goes to sleep.",
        mayLose: true,
        run: (api, user, force) => api.POST("/api/admin/bots/{user}/sleep", { ...of(user), ...body(force) }),
      },
    );
  }
  if (!isHeld) {
    actions.push({
      verb: "Stop",
      title: `Stop ${name}'s bot?`,
      consequences: "Its home is saved, then its container ends, and nothing wakes it until its owner or an admin starts it again.",
      destroys: true,
      done: "It stops.",
      mayLose: true,
      run: (api, user, force) => api.POST("/api/admin/bots/{user}/stop", { ...of(user), ...body(force) }),
    });
  }
  if (state !== "suspended") {
    actions.push({
      verb: "Suspend",
      title: `Suspend ${name}'s bot?`,
      consequences: `Its container ends. Its owner cannot use it, and is told so, until an admin starts it again. What is saved stays. ${
        cannotSave ? "What has changed since the newest snapshot cannot be saved right now, and is lost." : "What has changed since the newest snapshot is saved first, if it can be."
      }`,
      destroys: true,
      done: "It is suspended.",
      run: (api, user) => api.POST("/api/admin/bots/{user}/suspend", of(user)),
    });
  }
  return actions;
}

export function Actions({ user, name, status }: { user: string; name: string; status: BotStatus }) {
  const api = useApi();
  const queries = useQueryClient();
  const [asked, setAsked] = useState<Question>();
  const [done, setDone] = useState<string>();
  const order = useMutation({
    mutationFn: ({ action, force }: { action: Action; force: boolean }) => action.run(api, user, force),
    onSuccess: (_, { action }) => {
      setDone(action.done);
      return queries.invalidateQueries({ queryKey: ["bot", user] });
    },
  });
  const ask = (action: Action) => {
    setDone(undefined);
    const act = (force: boolean) => order.mutateAsync({ action, force });
    setAsked({
      title: action.title,
      consequences: <p>{action.consequences}</p>,
      verb: action.verb,
      ...(action.destroys && { destroys: true }),
      act: () => act(false),
      ...(action.mayLose && {
        otherwise: {
          code: "unsaved-changes",
          verb: `${action.verb} and lose them`,
          warning: "Changes since the newest snapshot cannot be saved right now. If you go on, they are lost for ever.",
          act: () => act(true),
        },
      }),
    });
  };
  return (
    <section aria-label="Actions">
      <div className="row wraps-row">
        {actionsFor(status, name).map((action) => (
          <Button key={action.verb} size="sm" variant={action.destroys ? "secondary-destructive" : "secondary"} onClick={() => ask(action)}>
            {action.verb}
          </Button>
        ))}
      </div>
      <div role="status">{done !== undefined && <Banner size="sm" variant="secondary" title={done} />}</div>
      <Confirm question={asked} close={() => setAsked(undefined)} />
    </section>
  );
}
