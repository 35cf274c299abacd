import { useInfiniteQuery } from "@tanstack/react-query";
import type { IncidentKind } from "../../api/client";
import { incidents } from "../../api/queries";
import { useApi } from "../../session/context";
import { IncidentRows } from "../../ui/incidents";
import { Answer, Card, Nothing } from "../../ui/parts";
import { incidentWords } from "../../words/states";

/** What is wrong: as its Sandbox says, and of that what was long enough to be told. */
export function BotIncidents({ user, kinds }: { user: string; kinds: IncidentKind[] }) {
  const open = useInfiniteQuery(incidents(useApi(), "open", user));
  return (
    <Card title="Incidents" flush>
      <Answer of={open} what="Reading the bot's incidents" lines={2}>
        {({ pages }) => {
          const all = pages.flatMap((page) => page.incidents);
          if (all.length > 0) return <IncidentRows incidents={all} />;
          return kinds.length === 0 ? <Nothing title="Nothing is wrong with it" /> : null;
        }}
      </Answer>
      {kinds.length > 0 && (
        <p className="padded">
          Its Sandbox says: <strong>{kinds.map(incidentWords).join(", ")}</strong>.
        </p>
      )}
    </Card>
  );
}
