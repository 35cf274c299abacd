import { Banner } from "@cloudflare/kumo/components/banner";
import { Button } from "@cloudflare/kumo/components/button";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import type { BotStatus, Snapshot } from "../api/client";
import type { Question } from "../ui/Confirm";
import { Answer, Card, More, Nothing, Page, Time, ToneBadge, useNow } from "../ui/parts";
import { restoreNews, restoreWords, snapshotNews, type RestoreWords } from "../words/restore";
import { size } from "../words/states";
import { exactly } from "../words/time";
import { useAct } from "./act";
import { Browse } from "./Browse";
import { useMayChange, useOwnApi } from "./context";
import { archiveOf, AWAKE_ONLY } from "./files";
import { AWAKE, bot, snapshots } from "./queries";
import { reasonWords, replacedWords, takenAt } from "./words";

export function Snapshots() {
  const api = useOwnApi();
  const list = useInfiniteQuery(snapshots(api));
  const status = useQuery(bot(api));
  const mayChange = useMayChange();
  const [looked, setLooked] = useState<Snapshot>();
  const { ask, said } = useAct();
  const isAwake = status.data !== undefined && AWAKE.includes(status.data.state);
  const newest = list.data?.pages[0]?.snapshots[0];
  // Of a restore alone, where one was ordered.
  const news = status.data && (restoreNews(status.data, "your bot") ?? snapshotNews(status.data));
  // What was stored since the list was read is shown as soon as the status knows of it.
  const { refetch } = list;
  const stored = status.data?.backups?.newest?.id;
  const known = useRef(stored);
  useEffect(() => {
    if (known.current !== undefined && known.current !== stored) void refetch();
    known.current = stored;
  }, [stored, refetch]);
  const take: Question = {
    title: "Take a snapshot now?",
    consequences: <p>Your bot's home is saved as it is at this moment, beside the snapshots there are. It goes on running.</p>,
    verb: "Take snapshot",
    act: () => api.POST("/api/bot/snapshots", {}),
  };
  return (
    <Page
      title="Snapshots"
      about="What your bot was at a moment: all of its home. They are taken by themselves, and kept for a while."
      actions={
        <>
          {newest && isAwake && (
            <a className="button-like" href={archiveOf(newest.id)} download>
              Download everything
            </a>
          )}
          {mayChange && isAwake && (
            <Button size="sm" variant="primary" onClick={() => ask(take, "The snapshot was begun. It appears here when it is stored.")}>
              Take snapshot
            </Button>
          )}
        </>
      }
    >
      {said}
      {status.data && !isAwake && <Banner variant="secondary" title={AWAKE_ONLY} action={<a href="/">Open my bot</a>} />}
      <div role="status">{news && <Banner variant={news.isBad ? "alert" : "secondary"} title={news.title} description={news.about} />}</div>
      <Card title="All snapshots" flush>
        <Answer of={list} what="Reading the snapshots">
          {({ pages }) => {
            const all = pages.flatMap((page) => page.snapshots);
            if (all.length === 0) return <Nothing title="There are no snapshots yet" about="The first one is taken soon after your bot has started and something has changed." />;
            return (
              <ul className="rows">
                {all.map((one) => (
                  <Row key={one.id} snapshot={one} status={status.data} isNewest={one.id === newest?.id} look={isAwake ? () => setLooked(one) : undefined} ask={mayChange ? ask : undefined} />
                ))}
              </ul>
            );
          }}
        </Answer>
        <More of={list} words="Older snapshots" />
      </Card>
      <Browse snapshot={looked} close={() => setLooked(undefined)} />
    </Page>
  );
}

type Ask = ReturnType<typeof useAct>["ask"];

function Row({ snapshot, status, isNewest, look, ask }: { snapshot: Snapshot; status: BotStatus | undefined; isNewest: boolean; look: (() => void) | undefined; ask: Ask | undefined }) {
  const api = useOwnApi();
  const now = useNow();
  const words = status && restoreWords(status, "your bot");
  const restore = ({ back, course }: RestoreWords): Question => {
    const { replaced, by } = replacedWords(snapshot, status, now);
    return {
      title: "Restore this snapshot?",
      consequences: (
        <>
          <dl className="facts">
            <dt>Replaced</dt>
            <dd>{replaced}</dd>
            <dt>By</dt>
            <dd>{by}</dd>
            <dt>The way back</dt>
            <dd>{back}</dd>
          </dl>
          {snapshot.suspicious != null && <Banner variant="alert" title={`This snapshot is marked as suspicious: ${snapshot.suspicious}`} />}
          <p>{course}</p>
        </>
      ),
      verb: "Restore",
      destroys: true,
      act: () => api.POST("/api/bot/snapshots/restore", { body: { snapshot: snapshot.id } }),
    };
  };
  const pin = (): Question => ({
    title: snapshot.pinned ? "No longer keep this snapshot for ever?" : "Keep this snapshot for ever?",
    consequences: <p>{snapshot.pinned ? "It is deleted when its time comes, like any other." : "It is not deleted when its time comes."}</p>,
    verb: snapshot.pinned ? "Let it go in time" : "Keep for ever",
    act: () => api.POST(snapshot.pinned ? "/api/bot/snapshots/unpin" : "/api/bot/snapshots/pin", { body: { snapshot: snapshot.id } }),
  });
  return (
    <li>
      <div className="row between wraps-row">
        <span className="row wraps-row">
          <strong title={snapshot.id}>{exactly(takenAt(snapshot))}</strong>
          <span className="subtle">
            <Time at={takenAt(snapshot)} />
          </span>
          {isNewest && <ToneBadge tone="good">Newest</ToneBadge>}
          {snapshot.pinned && <ToneBadge tone="rest">Kept for ever</ToneBadge>}
          {snapshot.suspicious != null && <ToneBadge tone="watch">Suspicious</ToneBadge>}
          {snapshot.verified_at !== null && <ToneBadge tone="rest">Proven</ToneBadge>}
        </span>
        <span className="row wraps-row">
          {look && (
            <Button size="sm" variant="ghost" aria-label={`Look into the snapshot of ${exactly(takenAt(snapshot))}`} onClick={look}>
              Look inside
            </Button>
          )}
          {ask && (
            <>
              <Button
                size="sm"
                variant="ghost"
                aria-label={`${snapshot.pinned ? "No longer keep" : "Keep"} the snapshot of ${exactly(takenAt(snapshot))}`}
                onClick={() => ask(pin(), snapshot.pinned ? "It is kept as long as any other." : "It is kept for ever.")}
              >
                {snapshot.pinned ? "Unpin" : "Keep"}
              </Button>
              {words && (
                <Button size="sm" variant="secondary" aria-label={`Restore the snapshot of ${exactly(takenAt(snapshot))}`} onClick={() => ask(restore(words), words.done)}>
                  Restore
                </Button>
              )}
            </>
          )}
        </span>
      </div>
      <p className="subtle wraps">
        Taken {reasonWords(snapshot.reason)}
        {snapshot.files !== undefined && snapshot.bytes !== undefined && ` · ${snapshot.files.toLocaleString()} files, ${size(snapshot.bytes)}`}
        {snapshot.suspicious != null && ` · ${snapshot.suspicious}`}
        {snapshot.held_until !== null && " · kept because a restore replaced it"}
      </p>
    </li>
  );
}
