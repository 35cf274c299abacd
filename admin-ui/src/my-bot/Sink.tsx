import { Banner } from "@cloudflare/kumo/components/banner";
import { Button } from "@cloudflare/kumo/components/button";
import { Input } from "@cloudflare/kumo/components/input";
import { Select } from "@cloudflare/kumo/components/select";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type SubmitEvent } from "react";
import { document, Problem, type OwnerSinkStatus, type SinkKind } from "../api/client";
import type { Question } from "../ui/Confirm";
import { Answer, Card, Nothing, Time } from "../ui/parts";
import { useAct } from "./act";
import { useOwnApi } from "./context";
import { sink } from "./queries";

/** What owners may have: Alertmanager is for those who run the platform. */
type Kind = Exclude<SinkKind, "alertmanager">;
const KINDS: Record<Kind, string> = { telegram: "Telegram", slack: "Slack", discord: "Discord", webhook: "A webhook" };

/** Where one is told when something is wrong with one's bot. */
export function Sink() {
  const found = useQuery(sink(useOwnApi()));
  return (
    <Card title="Tell me when something is wrong">
      <Answer of={found} what="Reading where you are told" lines={2}>
        {(its) => (its === null ? <Nothing title="You are told nowhere yet" about="Set up a place where a message reaches you when your bot fails or cannot be saved." /> : <Known sink={its} />)}
      </Answer>
      <Other isFirst={found.data === null} />
    </Card>
  );
}

function Known({ sink: { kind, host, delivered_at, failing_since, last_error, waiting } }: { sink: OwnerSinkStatus }) {
  const api = useOwnApi();
  const { ask, said } = useAct();
  const test = useMutation({ mutationFn: async () => document(await api.POST("/api/bot/alerts/sink/test", {})) });
  const remove: Question = {
    title: "No longer be told?",
    consequences: <p>Nothing is sent to {host} any more, and its address is forgotten.</p>,
    verb: "Remove",
    destroys: true,
    act: () => api.DELETE("/api/bot/alerts/sink", {}),
  };
  return (
    <>
      <dl className="facts">
        <dt>Where</dt>
        <dd>
          {kind === "alertmanager" ? kind : (KINDS[kind] ?? kind)}, {host}
        </dd>
        <dt>Last message</dt>
        <dd>
          <Time at={delivered_at} none="none yet" />
        </dd>
        {failing_since !== null && (
          <>
            <dt>Fails</dt>
            <dd>
              since <Time at={failing_since} />: {last_error} ({waiting} waiting)
            </dd>
          </>
        )}
      </dl>
      <div className="row">
        <Button size="sm" variant="secondary" loading={test.isPending} onClick={() => test.mutate()}>
          Send a test
        </Button>
        <Button size="sm" variant="ghost" onClick={() => ask(remove, "You are told nowhere from now on.")}>
          Remove
        </Button>
      </div>
      {said}
      <div role="status">{test.data && (test.data.delivered ? <p>The test was delivered.</p> : <Banner variant="error" title="The test was not delivered" description={test.data.error ?? undefined} />)}</div>
      <div role="alert">{test.error && <Banner variant="error" title={test.error.message} description={test.error instanceof Problem ? test.error.detail : undefined} />}</div>
    </>
  );
}

function Other({ isFirst }: { isFirst: boolean }) {
  const api = useOwnApi();
  const queries = useQueryClient();
  const [kind, setKind] = useState<Kind>("telegram");
  const [url, setUrl] = useState("");
  const [secret, setSecret] = useState("");
  const [chat, setChat] = useState("");
  const isTelegram = kind === "telegram";
  const set = useMutation({
    mutationFn: () =>
      api.PUT("/api/bot/alerts/sink", {
        body: { kind, ...(isTelegram ? { secret, chat } : { url }), ...(kind === "webhook" && secret !== "" && { secret }) },
      }),
    onSuccess: () => {
      setUrl("");
      setSecret("");
      setChat("");
      return queries.invalidateQueries({ queryKey: ["sink"] });
    },
  });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    set.mutate();
  };
  return (
    <form className="new" onSubmit={submit}>
      <Select label={isFirst ? "Tell me by" : "Tell me elsewhere, by"} value={kind} onValueChange={(value) => setKind((Object.keys(KINDS) as Kind[]).find((known) => known === value) ?? "telegram")} items={KINDS} />
      {isTelegram ? (
        <>
          <Input label="Token of a Telegram bot" type="password" autoComplete="off" required value={secret} onChange={(event) => setSecret(event.target.value)} />
          <Input label="Id of the chat" autoComplete="off" required value={chat} onChange={(event) => setChat(event.target.value)} />
        </>
      ) : (
        <Input label="Address of the webhook" type="url" placeholder="https://" autoComplete="off" required value={url} onChange={(event) => setUrl(event.target.value)} />
      )}
      {kind === "webhook" && <Input label="Secret (whsec_…), if it has one" type="password" autoComplete="off" value={secret} onChange={(event) => setSecret(event.target.value)} />}
      <Button type="submit" variant="secondary" loading={set.isPending}>
        {isFirst ? "Set up" : "Replace"}
      </Button>
      <div role="alert">{set.error && <Banner variant="error" title={set.error.message} description={set.error instanceof Problem ? set.error.detail : undefined} />}</div>
    </form>
  );
}
