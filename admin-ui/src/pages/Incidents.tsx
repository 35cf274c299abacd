import { Button } from "@cloudflare/kumo/components/button";
import { Dialog } from "@cloudflare/kumo/components/dialog";
import { Tabs } from "@cloudflare/kumo/components/tabs";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import runbooks from "virtual:runbooks";
import type { Incident } from "../api/client";
import { incidents } from "../api/queries";
import { useApi, useStage } from "../session/context";
import { SeverityBadge, Subject } from "../ui/incidents";
import { Answer, Card, Failed, Marked, More, Nothing, Page, Time } from "../ui/parts";
import { actorWords } from "../words/events";
import { ruleName } from "../words/states";
import { MuteDialog, Mutes } from "./incidents/Mutes";

const route = getRouteApi("/incidents");

export function Incidents() {
  const { state = "open" } = route.useSearch();
  const navigate = route.useNavigate();
  const list = useInfiniteQuery(incidents(useApi(), state));
  const [muting, setMuting] = useState<Incident>();
  const [reading, setReading] = useState<Incident>();
  return (
    <Page title="Incidents" about="What is wrong, or was. Each is told once to your sinks, and once more while nobody says that they know.">
      <Tabs
        variant="segmented"
        tabs={[
          { value: "open", label: "Open" },
          { value: "closed", label: "Over" },
        ]}
        value={state}
        onValueChange={(value) => void navigate({ search: value === "closed" ? { state: "closed" } : {}, replace: true })}
      />
      <Card flush>
        <Answer of={list} what="Reading the incidents" lines={6}>
          {({ pages }) => {
            const all = pages.flatMap((page) => page.incidents);
            if (all.length === 0) {
              return state === "open" ? (
                <Nothing title="Nothing is wrong" about="An incident appears here as soon as one begins." />
              ) : (
                <Nothing title="Nothing was ever wrong" about="What is over stays here for a while." />
              );
            }
            return (
              <ul className="rows">
                {all.map((incident) => (
                  <IncidentRow key={incident.id} incident={incident} mute={() => setMuting(incident)} read={() => setReading(incident)} />
                ))}
              </ul>
            );
          }}
        </Answer>
        <More of={list} words="Older incidents" />
      </Card>
      <Mutes />
      <MuteDialog incident={muting} close={() => setMuting(undefined)} />
      <RunbookDialog incident={reading} close={() => setReading(undefined)} />
    </Page>
  );
}

function IncidentRow({ incident, mute, read }: { incident: Incident; mute: () => void; read: () => void }) {
  const api = useApi();
  const stage = useStage();
  const queries = useQueryClient();
  const acknowledge = useMutation({
    mutationFn: () => api.POST("/api/admin/incidents/acknowledge", { body: { id: incident.id } }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["incidents"] }),
  });
  const isOpen = incident.closed_at === null;
  return (
    <li>
      <div className="row between wraps-row">
        <span className="row wraps-row">
          <SeverityBadge incident={incident} />
          <strong>{incident.title}</strong>
          <Subject of={incident.subject} />
        </span>
        <span className="subtle nowrap">
          <Time at={incident.opened_at} />
          {incident.closed_at !== null && (
            <>
              {" – over "}
              <Time at={incident.closed_at} />
            </>
          )}
        </span>
      </div>
      {incident.detail !== null && <p className="wraps">{incident.detail}</p>}
      <p className="subtle wraps">
        {incident.told_at === null ? "Nobody was told: it is muted, or another incident explains it." : "Told to the sinks."}
        {incident.count > 1 && ` Seen ${incident.count} times.`}
        {incident.closed_reason !== null && ` Over because: ${incident.closed_reason}.`}
        {incident.acknowledged_by !== null && (
          <>
            {` Known to ${actorWords(incident.acknowledged_by, stage.at === "in" ? stage.user : "")} `}
            <Time at={incident.acknowledged_at} />.
          </>
        )}
      </p>
      <div className="row wraps-row">
        <Button size="sm" variant="secondary" onClick={read}>
          What to do
        </Button>
        {isOpen && incident.acknowledged_by === null && (
          <Button size="sm" variant="secondary" loading={acknowledge.isPending} onClick={() => acknowledge.mutate()}>
            I know
          </Button>
        )}
        {isOpen && (
          <Button size="sm" variant="ghost" onClick={mute}>
            Mute …
          </Button>
        )}
      </div>
      {acknowledge.error && <Failed error={acknowledge.error} again={() => acknowledge.mutate()} />}
    </li>
  );
}

function RunbookDialog({ incident, close }: { incident: Incident | undefined; close: () => void }) {
  const runbook = incident && runbooks[incident.rule];
  return (
    <Dialog.Root open={incident !== undefined} onOpenChange={(open) => !open && close()}>
      <Dialog size="lg" className="dialog">
        {incident && (
          <>
            <Dialog.Title className="dialog-title">{ruleName(incident.rule)}</Dialog.Title>
            <Dialog.Description render={<div className="dialog-text" />}>
              <p>
                <Marked text={runbook?.meaning ?? incident.title} />
              </p>
              <ol>
                {runbook?.steps.map((step) => (
                  <li key={step}>
                    <Marked text={step} />
                  </li>
                ))}
              </ol>
              <p className="subtle">From {incident.runbook}</p>
            </Dialog.Description>
            <div className="row end">
              <Button variant="secondary" onClick={close}>
                Close
              </Button>
            </div>
          </>
        )}
      </Dialog>
    </Dialog.Root>
  );
}
