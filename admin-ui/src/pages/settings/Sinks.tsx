import { Banner } from "@cloudflare/kumo/components/banner";
import { Button } from "@cloudflare/kumo/components/button";
import { Input } from "@cloudflare/kumo/components/input";
import { Select } from "@cloudflare/kumo/components/select";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { document, type ListedSink, type SinkKind } from "../../api/client";
import { sinks } from "../../api/queries";
import { useApi } from "../../session/context";
import { FormDialog } from "../../ui/FormDialog";
import { Answer, Card, Failed, Nothing, Time, ToneBadge } from "../../ui/parts";
import { useAsk } from "../../ui/useAsk";

/** What each kind of sink needs, beside its name. */
export const KINDS: Record<SinkKind, { name: string; url?: string; secret?: string; isSecretOptional?: boolean; chat?: string }> = {
  webhook: { name: "Webhook (Standard Webhooks)", url: "Address of the webhook", secret: "Secret (whsec_…)" },
  slack: { name: "Slack", url: "Address of the incoming webhook" },
  discord: { name: "Discord", url: "Address of the webhook" },
  telegram: { name: "Telegram", secret: "Token of the bot", chat: "Id of the chat" },
  alertmanager: { name: "Alertmanager", url: "Address, without /api/v2/alerts", secret: "Bearer token, if it wants one", isSecretOptional: true },
};
const ALL_KINDS = Object.keys(KINDS) as SinkKind[];

export function Sinks() {
  const api = useApi();
  const list = useQuery(sinks(api));
  const { ask, dialog, said } = useAsk();
  const remove = (name: string) =>
    ask({
      title: `Remove the sink ${name}?`,
      consequences: <p>Nothing is told there any more, and messages that wait for it are dropped. Its address and secret are forgotten.</p>,
      verb: "Remove",
      destroys: true,
      done: `${name} is removed.`,
      changes: [["sinks"]],
      act: () => api.DELETE("/api/admin/alerts/sinks", { body: { name } }),
    });
  return (
    <Card title="Alert sinks" aside={<AddSink />} flush>
      {said}
      <Answer of={list} what="Reading the sinks" lines={3}>
        {(all) =>
          all.length === 0 ? (
            <Nothing title="Nobody is told of incidents" about="Add a sink, and test it: incidents are shown on the page Incidents alone until then." />
          ) : (
            <ul className="rows">
              {all.map((sink) => (
                <SinkRow key={sink.name} sink={sink} remove={() => remove(sink.name)} />
              ))}
            </ul>
          )
        }
      </Answer>
      {dialog}
    </Card>
  );
}

function SinkRow({ sink, remove }: { sink: ListedSink; remove: () => void }) {
  const api = useApi();
  const queries = useQueryClient();
  const test = useMutation({
    mutationFn: async () => document(await api.POST("/api/admin/alerts/sinks/test", { body: { name: sink.name } })),
    onSettled: () => queries.invalidateQueries({ queryKey: ["sinks"] }),
  });
  return (
    <li>
      <div className="row between wraps-row">
        <span className="row wraps-row">
          <strong>{sink.name}</strong>
          <span className="subtle wraps">
            {KINDS[sink.kind]?.name ?? sink.kind} at {sink.host}
          </span>
          {sink.failing_since !== null && <ToneBadge tone="bad">Failing</ToneBadge>}
        </span>
        <span className="row">
          <Button size="sm" variant="secondary" loading={test.isPending} aria-label={`Test: ${sink.name}`} onClick={() => test.mutate()}>
            Send a test
          </Button>
          <Button size="sm" variant="ghost" aria-label={`Remove: ${sink.name}`} onClick={remove}>
            Remove
          </Button>
        </span>
      </div>
      <p className="subtle wraps">
        Took a message last <Time at={sink.delivered_at} />.{sink.waiting > 0 && ` ${sink.waiting.toLocaleString()} wait for it.`}
        {sink.failing_since !== null && (
          <>
            {" Failing since "}
            <Time at={sink.failing_since} />
            {sink.last_error !== null && `: ${sink.last_error}`}
          </>
        )}
      </p>
      <div role="status">
        {test.data && <Banner size="sm" variant={test.data.delivered ? "secondary" : "error"} title={test.data.delivered ? "It took the test. Look there whether it arrived." : "It did not take the test."} description={test.data.error ?? undefined} />}
      </div>
      {test.error && <Failed error={test.error} again={() => test.mutate()} />}
    </li>
  );
}

const EMPTY = { name: "", url: "", secret: "", chat: "" };

function AddSink() {
  const api = useApi();
  const queries = useQueryClient();
  const [isOpen, setOpen] = useState(false);
  const [kind, setKind] = useState<SinkKind>("webhook");
  const [fields, setFields] = useState(EMPTY);
  const wanted = KINDS[kind];
  const field = (name: keyof typeof EMPTY) => ({
    value: fields[name],
    autoComplete: "off",
    onChange: (event: { target: { value: string } }) => setFields((old) => ({ ...old, [name]: event.target.value })),
  });
  const act = async () => {
    await api.POST("/api/admin/alerts/sinks", {
      body: {
        name: fields.name.trim(),
        kind,
        ...(wanted.url !== undefined && { url: fields.url.trim() }),
        ...(wanted.secret !== undefined && fields.secret !== "" && { secret: fields.secret.trim() }),
        ...(wanted.chat !== undefined && { chat: fields.chat.trim() }),
      },
    });
    setFields(EMPTY);
    await queries.invalidateQueries({ queryKey: ["sinks"] });
  };
  return (
    <>
      <Button size="sm" variant="secondary" onClick={() => setOpen(true)}>
        Add …
      </Button>
      <FormDialog title="Add an alert sink" about={<p>One of the same name is replaced. Address and secret are kept sealed and never shown again.</p>} verb="Add" isOpen={isOpen} close={() => setOpen(false)} act={act}>
        <Select label="Kind" value={kind} onValueChange={(value) => setKind(ALL_KINDS.find((known) => known === value) ?? "webhook")} items={Object.fromEntries(ALL_KINDS.map((known) => [known, KINDS[known].name]))} />
        <Input label="Name" placeholder="on-call" pattern="[a-z0-9\-]+" required {...field("name")} />
        {wanted.url !== undefined && <Input label={wanted.url} type="url" placeholder="https://…" required {...field("url")} />}
        {wanted.secret !== undefined && <Input label={wanted.secret} type="password" required={!wanted.isSecretOptional} {...field("secret")} />}
        {wanted.chat !== undefined && <Input label={wanted.chat} required {...field("chat")} />}
      </FormDialog>
    </>
  );
}
