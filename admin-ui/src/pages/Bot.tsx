import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import type { BotStatus } from "../api/client";
import { bot, user } from "../api/queries";
import { useApi } from "../session/context";
import { Answer, Card, HealthBadge, Page, StateBadge, Time, useNow } from "../ui/parts";
import { explain, size } from "../words/states";
import { Actions } from "./bot/Actions";
import { BotIncidents } from "./bot/BotIncidents";
import { Events } from "./bot/Events";
import { Snapshots } from "./bot/Snapshots";

const route = getRouteApi("/bots/$user");

export function BotPage() {
  const { user: id } = route.useParams();
  const api = useApi();
  const status = useQuery(bot(api, id));
  const owner = useQuery(user(api, id));
  const name = owner.data?.email ?? id;
  return (
    <Page
      title={name}
      about={
        <>
          <Link to="/bots">Bots</Link> / <span className="mono wraps">{id}</span>
        </>
      }
      actions={status.data && <StateBadge state={status.data.state} />}
    >
      <Answer of={status} what="Asking the bot's Sandbox" lines={5}>
        {(data) => (
          <>
            <State status={data} />
            <Actions user={id} name={name} status={data} />
            <div className="columns">
              <Facts status={data} />
              <BotIncidents user={id} kinds={data.incidents ?? []} />
            </div>
          </>
        )}
      </Answer>
      <Snapshots user={id} />
      <Events user={id} />
    </Page>
  );
}

function State({ status }: { status: BotStatus }) {
  const { tone, headline, because, next } = explain(status, useNow());
  return (
    <section className="card state" data-tone={tone} aria-label="State">
      <div role="status">
        <h2>{headline}</h2>
      </div>
      {because.map((words) => (
        <p key={words}>{words}</p>
      ))}
      {next !== undefined && (
        <p>
          <strong>What to do:</strong> {next}
        </p>
      )}
    </section>
  );
}

function Facts({ status }: { status: BotStatus }) {
  const { backups, restored, start } = status;
  return (
    <Card title="Facts">
      <dl className="facts">
        <dt>In this state since</dt>
        <dd>
          <Time at={status.since} />
        </dd>
        <dt>Gateway</dt>
        <dd>
          <HealthBadge health={status.health} />
        </dd>
        <dt>Run</dt>
        <dd>{status.run === 0 ? "none yet" : `number ${status.run}`}</dd>
        {backups && (
          <>
            <dt>Newest snapshot</dt>
            <dd>
              <Time at={backups.newest?.at} none="none yet" />
            </dd>
            <dt>Unsaved changes</dt>
            <dd>{backups.unsaved_since === null ? "none" : <>since <Time at={backups.unsaved_since} /></>}</dd>
            <dt>Proven by a restore</dt>
            <dd>
              <Time at={backups.verified?.at} none="not yet" />
            </dd>
          </>
        )}
        {restored && (
          <>
            <dt>Home made from</dt>
            <dd>
              {restored.amount.files.toLocaleString()} files, {size(restored.amount.bytes)}
            </dd>
          </>
        )}
        {start && Object.keys(start).length > 0 && (
          <>
            <dt>Start took</dt>
            <dd>{startWords(start)}</dd>
          </>
        )}
      </dl>
    </Card>
  );
}

function startWords(start: object): string {
  const times = Object.entries(start).filter((entry): entry is [string, number] => typeof entry[1] === "number");
  if (times.length === 0) return "not known";
  return times.map(([part, ms]) => `${part.replace(/_ms$/, "").replaceAll("_", " ")} ${(ms / 1_000).toFixed(1)} s`).join(", ");
}
