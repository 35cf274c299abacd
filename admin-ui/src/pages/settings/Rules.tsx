import { Button } from "@cloudflare/kumo/components/button";
import { Input } from "@cloudflare/kumo/components/input";
import { Switch } from "@cloudflare/kumo/components/switch";
import { Table } from "@cloudflare/kumo/components/table";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { document, type AlertRules, type ListedRule } from "../../api/client";
import { alertRules } from "../../api/queries";
import { useApi } from "../../session/context";
import { FormDialog } from "../../ui/FormDialog";
import { Answer, Card, DataTable, ToneBadge } from "../../ui/parts";
import { ruleName } from "../../words/states";
import { lasting } from "../../words/time";

const COLUMNS = [{ name: "Rule" }, { name: "Opens after" }, { name: "Closes after", wide: true }, { name: "Severity", wide: true }, { name: "Change" }];

/** When something counts as an incident, and when nobody is woken for a warning. */
export function Rules() {
  const settings = useQuery(alertRules(useApi()));
  const [editing, setEditing] = useState<ListedRule>();
  return (
    <Card title="Thresholds" aside={settings.data && <Quiet settings={settings.data} />} flush>
      <Answer of={settings} what="Reading the rules" lines={8}>
        {(data) => (
          <>
            <p className="padded subtle">
              {data.quiet ? `Quiet hours: ${data.quiet.from} to ${data.quiet.to} UTC. Warnings wait until they are over.` : "There are no quiet hours: everything is told at once."}
            </p>
            <DataTable label="rules" columns={COLUMNS}>
              {data.rules.map((rule) => (
                <Table.Row key={rule.rule}>
                  <Table.Cell>
                    <strong>{ruleName(rule.rule)}</strong>
                    <div className="subtle">{rule.title}</div>
                  </Table.Cell>
                  <Table.Cell className="nowrap">{rule.off ? <ToneBadge tone="rest">Off</ToneBadge> : lasting(rule.opens_after_s * 1_000)}</Table.Cell>
                  <Table.Cell className="wide nowrap">{lasting(rule.closes_after_s * 1_000)}</Table.Cell>
                  <Table.Cell className="wide">{rule.severity}</Table.Cell>
                  <Table.Cell>
                    <Button size="sm" variant="ghost" aria-label={`Change: ${ruleName(rule.rule)}`} onClick={() => setEditing(rule)}>
                      Change …
                    </Button>
                  </Table.Cell>
                </Table.Row>
              ))}
            </DataTable>
            {editing && <EditRule key={editing.rule} rule={editing} close={() => setEditing(undefined)} />}
          </>
        )}
      </Answer>
    </Card>
  );
}

type Setting = Pick<ListedRule, "opens_after_s" | "closes_after_s" | "off">;

interface Changes {
  quiet?: AlertRules["quiet"];
  /** Of one rule, what was changed. */
  rule?: Pick<ListedRule, "rule"> & Partial<Setting>;
}

/** All that is set, with what was changed: the platform replaces the whole of it. */
export function settingsWith({ quiet, rules }: AlertRules, changed: Changes) {
  return {
    quiet: changed.quiet === undefined ? quiet : changed.quiet,
    rules: rules.map(({ rule, opens_after_s, closes_after_s, off }) => ({ rule, opens_after_s, closes_after_s, off, ...(rule === changed.rule?.rule && changed.rule) })),
  };
}

/** What is not as it was when the dialog was opened. */
export function changesOf<T extends object>(old: T, now: T): Partial<T> {
  return Object.fromEntries(Object.entries(now).filter(([name, value]) => value !== Reflect.get(old, name))) as Partial<T>;
}

function useSave() {
  const api = useApi();
  const queries = useQueryClient();
  return async (changed: Changes) => {
    // What this page has read may be old: another admin's changes are kept.
    const body = settingsWith(document(await api.GET("/api/admin/alerts/settings", {})), changed);
    await api.POST("/api/admin/alerts/settings", { body });
    await queries.invalidateQueries({ queryKey: ["alert-settings"] });
  };
}

const seconds = (text: string) => {
  const amount = Number(text.trim());
  if (text.trim() === "" || !Number.isInteger(amount) || amount < 0) throw new Error("A time is a whole number of seconds.");
  return amount;
};

function EditRule({ rule, close }: { rule: ListedRule; close: () => void }) {
  const save = useSave();
  const [opens, setOpens] = useState(String(rule.opens_after_s));
  const [closes, setCloses] = useState(String(rule.closes_after_s));
  const [isOff, setOff] = useState(rule.off);
  const act = async () => {
    const { opens_after_s, closes_after_s, off } = rule;
    await save({ rule: { rule: rule.rule, ...changesOf<Setting>({ opens_after_s, closes_after_s, off }, { opens_after_s: seconds(opens), closes_after_s: seconds(closes), off: isOff }) } });
  };
  return (
    <FormDialog title={ruleName(rule.rule)} about={<p>{rule.title}</p>} verb="Save" isOpen close={close} act={act}>
      <Switch label="Off: it makes no incidents, and open ones are closed" checked={isOff} onCheckedChange={setOff} />
      <Input label="Opens after, in seconds" inputMode="numeric" required value={opens} onChange={(event) => setOpens(event.target.value)} />
      <Input label="Closes after, in seconds" inputMode="numeric" required value={closes} onChange={(event) => setCloses(event.target.value)} />
    </FormDialog>
  );
}

function Quiet({ settings: { quiet } }: { settings: AlertRules }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <Button size="sm" variant="secondary" onClick={() => setOpen(true)}>
        Quiet hours …
      </Button>
      {/* Only while it is open, so that it begins with what holds by then. */}
      {isOpen && <EditQuiet quiet={quiet} close={() => setOpen(false)} />}
    </>
  );
}

function EditQuiet({ quiet, close }: { quiet: AlertRules["quiet"]; close: () => void }) {
  const save = useSave();
  const [isOn, setOn] = useState(quiet !== null);
  const [from, setFrom] = useState(quiet?.from ?? "22:00");
  const [to, setTo] = useState(quiet?.to ?? "07:00");
  return (
    <FormDialog
      title="Quiet hours"
      about={<p>In these hours of each day, in UTC, warnings wait. What is critical is told at once.</p>}
      verb="Save"
      isOpen
      close={close}
      act={() => save({ quiet: isOn ? { from, to } : null })}
    >
      <Switch label="Have quiet hours" checked={isOn} onCheckedChange={setOn} />
      {isOn && (
        <>
          <Input label="From, UTC" type="time" required value={from} onChange={(event) => setFrom(event.target.value)} />
          <Input label="To, UTC" type="time" required value={to} onChange={(event) => setTo(event.target.value)} />
        </>
      )}
    </FormDialog>
  );
}
