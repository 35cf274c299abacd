import { Button } from "@cloudflare/kumo/components/button";
import type { BotStatus } from "../../../api/client";
import { useApi } from "../../../session/context";
import { Card, Time } from "../../../ui/parts";
import type { Asked } from "../../../ui/useAsk";

interface Props {
  user: string;
  name: string;
  choice: NonNullable<NonNullable<BotStatus["backups"]>["choice"]>;
  ask: (question: Asked) => void;
  restore: (snapshot: string) => void;
}

/** A start made the home from an older snapshot, because newer ones had lost too much; somebody decides which home stays. */
export function Choice({ user, name, choice, ask, restore }: Props) {
  const api = useApi();
  const [newest] = choice.snapshots;
  const keep = () =>
    ask({
      title: `Keep the home ${name}'s bot has now?`,
      consequences: <p>The {choice.total === 1 ? "snapshot that was" : `${choice.total} snapshots that were`} passed over are no question any more, and the retention policy deletes them in time.</p>,
      verb: "Keep it",
      done: "What it has now is kept.",
      changes: [["bot", user]],
      act: () => api.POST("/api/admin/bots/{user}/snapshots/keep", { params: { path: { user } } }),
    });
  return (
    <Card title="A start passed newer snapshots over">
      <p>
        <Time at={choice.since} />, the home was made from an older snapshot{choice.why !== null && <>: the newest had lost something ({choice.why})</>}. {choice.total === 1 ? "One newer snapshot waits" : `${choice.total} newer snapshots wait`} for a decision and {choice.total === 1 ? "is" : "are"} kept until then, at the longest until it ends <Time at={choice.kept_until} />. Ask the owner before you decide for them.
      </p>
      <div className="row wraps-row">
        <Button size="sm" variant="secondary" onClick={keep}>
          Keep what it has now …
        </Button>
        {newest !== undefined && (
          <Button size="sm" variant="secondary" onClick={() => restore(newest)}>
            Put the newest back …
          </Button>
        )}
      </div>
    </Card>
  );
}
