import { Switch } from "@cloudflare/kumo/components/switch";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Event } from "../../api/client";
import { events } from "../../api/queries";
import { useApi, useStage } from "../../session/context";
import { Answer, Card, More, Nothing, Time } from "../../ui/parts";
import { actorWords, eventWords, LOOK } from "../../words/events";

export function Events({ user }: { user: string }) {
  const [withLooks, setWithLooks] = useState(false);
  const list = useInfiniteQuery(events(useApi(), user));
  return (
    <Card title="Events" aside={<Switch size="sm" label="Show looks" checked={withLooks} onCheckedChange={setWithLooks} />} flush>
      <Answer of={list} what="Reading the history">
        {({ pages }) => {
          const all = pages.flatMap((page) => page.events).filter(({ kind }) => withLooks || kind !== LOOK);
          if (all.length === 0) return <Nothing title="Nothing has happened" {...(!withLooks && { about: "Looks of admins are left out." })} />;
          return <EventRows events={all} />;
        }}
      </Answer>
      <More of={list} words="Older events" />
    </Card>
  );
}

function EventRows({ events }: { events: Event[] }) {
  const stage = useStage();
  const me = stage.at === "in" ? stage.user : "";
  return (
    <ol className="rows">
      {events.map((event) => (
        <li key={event.id}>
          <div className="row between">
            <span>
              <strong>{eventWords(event)}</strong> <span className="subtle">by {actorWords(event.actor, me)}</span>
            </span>
            <span className="subtle nowrap">
              <Time at={event.at} />
            </span>
          </div>
          {(event.detail !== null || event.code !== null) && (
            <p className="subtle wraps">
              {event.detail}
              {event.code !== null && ` (${event.code})`}
            </p>
          )}
        </li>
      ))}
    </ol>
  );
}
