import { useInfiniteQuery } from "@tanstack/react-query";
import { Answer, Card, More, Nothing, Page, Time } from "../ui/parts";
import { eventWords } from "../words/events";
import { useOwnApi } from "./context";
import { events } from "./queries";

/** Who did it, for the owner: of administrators only that it was one. */
function by(actor: string): string {
  if (actor === "owner") return "you";
  return actor.length === 36 ? "an administrator" : actor;
}

export function History() {
  const list = useInfiniteQuery(events(useOwnApi()));
  return (
    <Page title="History" about="What happened to your bot and your account, and who looked at it.">
      <Card title="Events" flush>
        <Answer of={list} what="Reading the history">
          {({ pages }) => {
            const all = pages.flatMap((page) => page.events);
            if (all.length === 0) return <Nothing title="Nothing has happened yet" />;
            return (
              <ol className="rows">
                {all.map((event) => (
                  <li key={event.id}>
                    <div className="row between">
                      <span>
                        <strong>{eventWords(event)}</strong> <span className="subtle">by {by(event.actor)}</span>
                      </span>
                      <span className="subtle nowrap">
                        <Time at={event.at} />
                      </span>
                    </div>
                    {(event.detail !== null || event.address !== null) && (
                      <p className="subtle wraps">
                        {event.detail}
                        {event.address !== null && ` (from ${event.address})`}
                      </p>
                    )}
                  </li>
                ))}
              </ol>
            );
          }}
        </Answer>
        <More of={list} words="Older events" />
      </Card>
    </Page>
  );
}
