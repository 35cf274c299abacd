import { Button } from "@cloudflare/kumo/components/button";
import { Input } from "@cloudflare/kumo/components/input";
import { Select } from "@cloudflare/kumo/components/select";
import { Switch } from "@cloudflare/kumo/components/switch";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { Problem } from "../../api/client";
import { log } from "../../api/queries";
import { useApi } from "../../session/context";
import { Card, Failed, Loading, Nothing } from "../../ui/parts";
import { save } from "../../words/csv";

const LENGTHS = { "100": "100 lines", "300": "300 lines", "1000": "1,000 lines" };
/** Nearer to its end than this a log counts as read to the end, and scrolls on by itself. */
const AT_END_PX = 24;

/** What the gateway wrote last. A bot that sleeps has no log: its container is gone. */
export function Log({ user }: { user: string }) {
  const [lines, setLines] = useState("300");
  const [follows, setFollows] = useState(false);
  const [wanted, setWanted] = useState("");
  const text = useQuery(log(useApi(), user, Number(lines), follows));
  const all = (text.data ?? "").split("\n").filter((line) => line !== "");
  const shown = wanted === "" ? all : all.filter((line) => line.toLowerCase().includes(wanted.toLowerCase()));
  const isAsleep = text.error instanceof Problem && (text.error.code === "bot-asleep" || text.error.code === "bot-waking");
  return (
    <Card
      title="Log of the gateway"
      aside={
        <span className="row wraps-row">
          <Switch size="sm" label="Follow" checked={follows} onCheckedChange={setFollows} />
          <Button size="sm" variant="secondary" loading={text.isFetching && !follows} onClick={() => void text.refetch()}>
            Refresh
          </Button>
          <Button size="sm" variant="ghost" disabled={shown.length === 0} onClick={() => save(new Blob([`${shown.join("\n")}\n`], { type: "text/plain" }), `${user}.log`)}>
            Download
          </Button>
        </span>
      }
    >
      <div className="filters two">
        <Input label="Filter" type="search" placeholder="Only lines with this" autoComplete="off" value={wanted} onChange={(event) => setWanted(event.target.value)} />
        <Select label="How much" value={lines} onValueChange={(value) => setLines(value ?? "300")} items={LENGTHS} />
      </div>
      {isAsleep ? (
        <Nothing title="The bot does not run" about="Its log is in its container, and is gone with it. Why it ended stands in its events." />
      ) : text.error ? (
        <Failed error={text.error} again={() => void text.refetch()} isOld={text.data !== undefined} />
      ) : text.data === undefined ? (
        <Loading what="Reading the log" lines={8} />
      ) : shown.length === 0 ? (
        <Nothing title={all.length === 0 ? "The gateway has written nothing" : "No line has that"} />
      ) : (
        <Lines text={shown.join("\n")} />
      )}
    </Card>
  );
}

function Lines({ text }: { text: string }) {
  const box = useRef<HTMLPreElement>(null);
  const isAtEnd = useRef(true);
  useEffect(() => {
    if (box.current && isAtEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text]);
  const scrolled = () => {
    if (box.current) isAtEnd.current = box.current.scrollHeight - box.current.scrollTop - box.current.clientHeight < AT_END_PX;
  };
  return (
    <pre className="log" ref={box} tabIndex={0} role="region" aria-label="Lines of the log" onScroll={scrolled}>
      {text}
    </pre>
  );
}
