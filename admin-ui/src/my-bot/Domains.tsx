import { Banner } from "@cloudflare/kumo/components/banner";
import { Button } from "@cloudflare/kumo/components/button";
import { Input } from "@cloudflare/kumo/components/input";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type SubmitEvent } from "react";
import { Problem, type Domain } from "../api/client";
import type { Question } from "../ui/Confirm";
import { Answer, Card, Nothing, ToneBadge } from "../ui/parts";
import { useAct } from "./act";
import { useMayChange, useOwnApi } from "./context";
import { Copied } from "./Copied";
import { domains } from "./queries";

/** Domains of the bot's own, and what has to stand in DNS for each. */
export function Domains() {
  const list = useQuery(domains(useOwnApi()));
  const mayChange = useMayChange();
  const { ask, said } = useAct();
  return (
    <Card title="Domains">
      <p className="subtle">An address of your own for your bot. Whoever runs the platform has to route it there as well.</p>
      {said}
      <Answer of={list} what="Reading your domains" lines={2}>
        {(all) => (all.length === 0 ? <Nothing title="There are no domains" /> : <ul className="rows inset">{all.map((one) => <Row key={one.host} domain={one} ask={mayChange ? ask : undefined} />)}</ul>)}
      </Answer>
      {mayChange && <NewDomain />}
    </Card>
  );
}

function Row({ domain: { host, state, proof, target, certificate }, ask }: { domain: Domain; ask: ReturnType<typeof useAct>["ask"] | undefined }) {
  const api = useOwnApi();
  const queries = useQueryClient();
  const check = useMutation({
    mutationFn: () => api.POST("/api/bot/domains/check", { body: { host } }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["domains"] }),
  });
  const remove: Question = {
    title: `Give ${host} up?`,
    consequences: <p>Your bot is no longer reached there. Somebody else may claim the name once they prove that it is theirs.</p>,
    verb: "Give it up",
    destroys: true,
    act: () => api.DELETE("/api/bot/domains", { body: { host } }),
  };
  const isProven = state === "verified";
  return (
    <li>
      <div className="row between wraps-row">
        <span className="row wraps-row">
          {isProven ? <a href={`https://${host}/`}>{host}</a> : <strong>{host}</strong>}
          {isProven ? <ToneBadge tone="good">Proven</ToneBadge> : <ToneBadge tone="watch">Not proven yet</ToneBadge>}
        </span>
        {ask && (
          <span className="row">
            {!isProven && (
              <Button size="sm" variant="secondary" loading={check.isPending} onClick={() => check.mutate()}>
                Check now
              </Button>
            )}
            <Button size="sm" variant="ghost" aria-label={`Give ${host} up`} onClick={() => ask(remove, `${host} is given up.`)}>
              Give up
            </Button>
          </span>
        )}
      </div>
      <div role="alert">{check.error && <Banner variant="error" title={check.error.message} />}</div>
      <div role="status">{check.data?.data?.state === "pending" && <p className="subtle">It is not seen yet. DNS can take an hour; check again then.</p>}</div>
      {!isProven && (
        <>
          <p>Put these two records where the DNS of {host} is kept, then check:</p>
          <dl className="facts records">
            {[proof, target].map((record) => (
              <Record key={record.type} type={record.type} name={record.name} value={record.value} />
            ))}
          </dl>
        </>
      )}
      {certificate && certificate.waiting_for.length > 0 && <p className="subtle">Its certificate waits for: {certificate.waiting_for.join(", ")}</p>}
    </li>
  );
}

function Record({ type, name, value }: { type: string; name: string; value: string }) {
  return (
    <>
      <dt>{type}</dt>
      <dd>
        <Copied label="Name" what={`name of the ${type} record`} text={name} />
        <Copied label="Value" what={`value of the ${type} record`} text={value} />
      </dd>
    </>
  );
}

function NewDomain() {
  const api = useOwnApi();
  const queries = useQueryClient();
  const [host, setHost] = useState("");
  const claim = useMutation({
    mutationFn: () => api.POST("/api/bot/domains", { body: { host: host.trim() } }),
    onSuccess: () => {
      setHost("");
      return queries.invalidateQueries({ queryKey: ["domains"] });
    },
  });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    claim.mutate();
  };
  const detail = claim.error instanceof Problem ? claim.error.detail : undefined;
  return (
    <form className="new" onSubmit={submit}>
      <Input label="A domain of yours" placeholder="bot.example.org" required maxLength={253} autoComplete="off" value={host} onChange={(event) => setHost(event.target.value)} />
      <Button type="submit" variant="secondary" loading={claim.isPending}>
        Add domain
      </Button>
      <div role="alert">{claim.error && <Banner variant="error" title={claim.error.message} description={detail} />}</div>
    </form>
  );
}
