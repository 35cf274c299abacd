import { Banner } from "@cloudflare/kumo/components/banner";
import { Button } from "@cloudflare/kumo/components/button";
import { Input } from "@cloudflare/kumo/components/input";
import { Select } from "@cloudflare/kumo/components/select";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type SubmitEvent } from "react";
import { document } from "../api/client";
import type { Question } from "../ui/Confirm";
import { Answer, Card, Nothing, Time, ToneBadge } from "../ui/parts";
import { useAct } from "./act";
import { useOwnApi } from "./context";
import { Copied } from "./Copied";
import { tokens } from "./queries";

const SCOPES = { connect: "Talk to the bot", manage: "Talk to it, order it, read its snapshots" } as const;
const LENGTHS = { "30": "30 days", "90": "90 days", "365": "A year" };

/** Access tokens for devices and programs. */
export function Tokens() {
  const api = useOwnApi();
  const list = useQuery(tokens(api));
  const { ask, said } = useAct();
  const revoke = (id: string, name: string): Question => ({
    title: `Revoke the token “${name}”?`,
    consequences: <p>Whatever uses it is refused from now on. A conversation that is open by it goes on until your bot is restarted.</p>,
    verb: "Revoke",
    destroys: true,
    act: () => api.DELETE("/api/bot/tokens", { body: { id } }),
  });
  return (
    <Card title="Access tokens">
      <p className="subtle">For apps and programs that cannot sign in. Each opens your bot as long as it lasts: give every device its own, and revoke the one of a device that is gone.</p>
      {said}
      <Answer of={list} what="Reading your tokens" lines={2}>
        {(all) =>
          all.length === 0 ? (
            <Nothing title="There are no tokens" />
          ) : (
            <ul className="rows inset">
              {all.map(({ id, name, scope, used_at, expires_at }) => (
                <li key={id} className="row between wraps-row">
                  <span className="row wraps-row">
                    <strong className="wraps">{name}</strong> <ToneBadge tone={scope === "manage" ? "watch" : "rest"}>{scope}</ToneBadge>
                    <span className="subtle">
                      used <Time at={used_at} />, ends <Time at={expires_at} />
                    </span>
                  </span>
                  <Button size="sm" variant="ghost" aria-label={`Revoke ${name}`} onClick={() => ask(revoke(id, name), "It is revoked.")}>
                    Revoke
                  </Button>
                </li>
              ))}
            </ul>
          )
        }
      </Answer>
      <NewToken />
    </Card>
  );
}

function NewToken() {
  const api = useOwnApi();
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [scope, setScope] = useState<keyof typeof SCOPES>("connect");
  const [days, setDays] = useState<keyof typeof LENGTHS>("90");
  const make = useMutation({
    mutationFn: async () => document(await api.POST("/api/bot/tokens", { body: { name, scope, expires_in_days: Number(days) } })),
    onSuccess: () => {
      setName("");
      return queries.invalidateQueries({ queryKey: ["tokens"] });
    },
  });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    make.mutate();
  };
  return (
    <form className="new" onSubmit={submit}>
      <Input label="Name of a new token" placeholder="My phone" required maxLength={64} autoComplete="off" value={name} onChange={(event) => setName(event.target.value)} />
      <Select label="It may" value={scope} onValueChange={(value) => setScope(value === "manage" ? "manage" : "connect")} items={SCOPES} />
      <Select label="For" value={days} onValueChange={(value) => setDays(value === "30" || value === "365" ? value : "90")} items={LENGTHS} />
      <Button type="submit" variant="secondary" loading={make.isPending}>
        Make token
      </Button>
      <div role="alert">{make.error && <Banner variant="error" title={make.error.message} />}</div>
      <div role="status">
        {make.data && (
          <div className="card told">
            <strong>Copy it now: it is shown this once.</strong>
            <Copied what="token" text={make.data.token} />
          </div>
        )}
      </div>
    </form>
  );
}
