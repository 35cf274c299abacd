import { Banner } from "@cloudflare/kumo/components/banner";
import { Button } from "@cloudflare/kumo/components/button";
import { Dialog } from "@cloudflare/kumo/components/dialog";
import { Select } from "@cloudflare/kumo/components/select";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { Incident, Mute } from "../../api/client";
import { mutes } from "../../api/queries";
import { useApi } from "../../session/context";
import { Subject } from "../../ui/incidents";
import { Answer, Card, Failed, Nothing, Time } from "../../ui/parts";
import { componentWords } from "../../words/components";
import { isOfBots, ruleName } from "../../words/states";

const HOUR_MS = 3_600_000;
const LENGTHS = { "1": "For an hour", "8": "For eight hours", "24": "For a day", "168": "For a week" };
const SCOPES = ["both", "rule", "subject"] as const;
type Scope = (typeof SCOPES)[number];

function scopeWords({ rule, subject }: Incident): Record<Scope, string> {
  const of = isOfBots(subject) ? "this bot" : componentWords(subject).name;
  return { both: `${ruleName(rule)}, of ${of}`, rule: `${ruleName(rule)}, of everything`, subject: `Everything of ${of}` };
}

/** Has nobody told of something until a time. It is recorded all the same. */
export function MuteDialog({ incident, close }: { incident: Incident | undefined; close: () => void }) {
  return (
    <Dialog.Root open={incident !== undefined} onOpenChange={(open) => !open && close()}>
      <Dialog size="base" className="dialog">
        {incident && <MuteForm key={incident.id} incident={incident} close={close} />}
      </Dialog>
    </Dialog.Root>
  );
}

function MuteForm({ incident, close }: { incident: Incident; close: () => void }) {
  const api = useApi();
  const queries = useQueryClient();
  const [scope, setScope] = useState<Scope>("both");
  const [hours, setHours] = useState("1");
  const mute = useMutation({
    mutationFn: () =>
      api.POST("/api/admin/alerts/mutes", {
        body: {
          ...(scope !== "subject" && { rule: incident.rule }),
          ...(scope !== "rule" && { subject: incident.subject }),
          until: Date.now() + Number(hours) * HOUR_MS,
        },
      }),
    onSuccess: () => {
      close();
      return queries.invalidateQueries({ queryKey: ["mutes"] });
    },
  });
  return (
    <>
      <Dialog.Title className="dialog-title">Mute</Dialog.Title>
      <Dialog.Description render={<div className="dialog-text" />}>
        <p>Nobody is told of it until then. Incidents are recorded and shown here as ever.</p>
      </Dialog.Description>
      <Select label="What" value={scope} onValueChange={(value) => setScope(SCOPES.find((known) => known === value) ?? "both")} items={scopeWords(incident)} />
      <Select label="How long" value={hours} onValueChange={(value) => setHours(value ?? "1")} items={LENGTHS} />
      <div role="alert">{mute.error && <Banner variant="error" title={mute.error.message} />}</div>
      <div className="row end">
        <Button variant="secondary" onClick={close}>
          Cancel
        </Button>
        <Button variant="primary" loading={mute.isPending} onClick={() => mute.mutate()}>
          Mute
        </Button>
      </div>
    </>
  );
}

export function Mutes() {
  const list = useQuery(mutes(useApi()));
  return (
    <Card title="Muted" flush>
      <Answer of={list} what="Reading what is muted" lines={2}>
        {({ mutes }) =>
          mutes.length === 0 ? (
            <Nothing title="Nothing is muted" />
          ) : (
            <ul className="rows">
              {mutes.map((mute) => (
                <MuteRow key={`${mute.rule} ${mute.subject}`} mute={mute} />
              ))}
            </ul>
          )
        }
      </Answer>
    </Card>
  );
}

function MuteRow({ mute }: { mute: Mute }) {
  const api = useApi();
  const queries = useQueryClient();
  const end = useMutation({
    mutationFn: () => api.DELETE("/api/admin/alerts/mutes", { body: { ...(mute.rule !== null && { rule: mute.rule }), ...(mute.subject !== null && { subject: mute.subject }) } }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["mutes"] }),
  });
  return (
    <li className="row between wraps-row">
      <span>
        <strong>{mute.rule === null ? "Everything" : ruleName(mute.rule)}</strong> of {mute.subject === null ? "everything" : <Subject of={mute.subject} />}
        <span className="subtle">
          {" "}
          – ends <Time at={mute.until} />
        </span>
      </span>
      <Button size="sm" variant="secondary" loading={end.isPending} onClick={() => end.mutate()}>
        End it
      </Button>
      {end.error && <Failed error={end.error} again={() => end.mutate()} />}
    </li>
  );
}
