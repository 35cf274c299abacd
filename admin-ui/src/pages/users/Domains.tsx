import { Button } from "@cloudflare/kumo/components/button";
import { Input } from "@cloudflare/kumo/components/input";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { Domain } from "../../api/client";
import { domains } from "../../api/queries";
import { useApi } from "../../session/context";
import { Copy } from "../../ui/Copy";
import { FormDialog } from "../../ui/FormDialog";
import { Answer, Card, Nothing, Time, ToneBadge } from "../../ui/parts";
import { useAsk } from "../../ui/useAsk";

/** A user's own domains, with what has to stand in DNS. */
export function Domains({ user }: { user: string }) {
  const api = useApi();
  const list = useQuery(domains(api, user));
  const { ask, dialog, said } = useAsk();
  const remove = ({ host }: Domain) =>
    ask({
      title: `Take ${host} from this user?`,
      consequences: <p>Their bot does not answer there any more, and whoever is signed in there is signed out. They may claim it again.</p>,
      verb: "Remove",
      destroys: true,
      done: "The domain is removed.",
      changes: [["user", user, "domains"]],
      act: () => api.DELETE("/api/admin/users/{user}/domains", { params: { path: { user } }, body: { host } }),
    });
  return (
    <Card title="Domains" aside={<Vouch user={user} />} flush>
      {said}
      <Answer of={list} what="Reading the domains" lines={2}>
        {(all) =>
          all.length === 0 ? (
            <Nothing title="No domain of their own" about="Their bot is reached at its address below BOT_DOMAIN, or at the platform's." />
          ) : (
            <ul className="rows">
              {all.map((domain) => (
                <DomainRow key={domain.host} domain={domain} remove={() => remove(domain)} />
              ))}
            </ul>
          )
        }
      </Answer>
      {dialog}
    </Card>
  );
}

function DomainRow({ domain, remove }: { domain: Domain; remove: () => void }) {
  const isVerified = domain.state === "verified";
  return (
    <li>
      <div className="row between">
        <span className="row wraps-row">
          <strong className="wraps">{domain.host}</strong>
          <ToneBadge tone={isVerified ? "good" : "watch"}>{isVerified ? "Verified" : "Not proven yet"}</ToneBadge>
          {domain.certificate && <span className="subtle">Certificate: {domain.certificate.certificate}</span>}
        </span>
        <Button size="sm" variant="ghost" aria-label={`Remove: ${domain.host}`} onClick={remove}>
          Remove
        </Button>
      </div>
      <p className="subtle">
        Claimed <Time at={domain.added_at} />
        {domain.verified_at != null && (
          <>
            {", proven "}
            <Time at={domain.verified_at} />
          </>
        )}
        .
      </p>
      {domain.certificate?.waiting_for.map((words) => (
        <p key={words} className="wraps">
          Cloudflare waits for: {words}
        </p>
      ))}
      <details open={!isVerified}>
        <summary>What has to stand in DNS</summary>
        <dl className="facts dns">
          {[domain.proof, domain.target].map((record) => (
            <DnsRecord key={record.type} record={record} />
          ))}
        </dl>
      </details>
    </li>
  );
}

function DnsRecord({ record }: { record: Domain["proof"] }) {
  return (
    <>
      <dt>{record.type} name</dt>
      <dd>
        <Copy text={record.name} what={`the name of the ${record.type} record`} />
      </dd>
      <dt>{record.type} value</dt>
      <dd>
        <Copy text={record.value} what={`the value of the ${record.type} record`} />
      </dd>
    </>
  );
}

function Vouch({ user }: { user: string }) {
  const api = useApi();
  const queries = useQueryClient();
  const [isOpen, setOpen] = useState(false);
  const [host, setHost] = useState("");
  const act = async () => {
    await api.POST("/api/admin/users/{user}/domains", { params: { path: { user } }, body: { host: host.trim() } });
    setHost("");
    await queries.invalidateQueries({ queryKey: ["user", user, "domains"] });
  };
  return (
    <>
      <Button size="sm" variant="secondary" onClick={() => setOpen(true)}>
        Add …
      </Button>
      <FormDialog
        title="Add a domain"
        about={<p>You vouch that it is theirs: it counts as proven without a look into DNS. The name itself still has to lead here.</p>}
        verb="Add"
        isOpen={isOpen}
        close={() => setOpen(false)}
        act={act}
      >
        <Input label="Host name" placeholder="claw.example.org" required autoComplete="off" value={host} onChange={(event) => setHost(event.target.value)} />
      </FormDialog>
    </>
  );
}
