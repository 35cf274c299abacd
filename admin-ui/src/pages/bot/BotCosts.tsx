import { Button } from "@cloudflare/kumo/components/button";
import { Input } from "@cloudflare/kumo/components/input";
import { Switch } from "@cloudflare/kumo/components/switch";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { BotCosts as Told } from "../../api/client";
import { botCosts } from "../../api/queries";
import { useApi } from "../../session/context";
import { CostFigures, CostPartsTable, LevelBadge } from "../../ui/costs";
import { FormDialog } from "../../ui/FormDialog";
import { Answer, Card, Time } from "../../ui/parts";
import { useAsk } from "../../ui/useAsk";
import { microdollars, money } from "../../words/money";
import { lasting } from "../../words/time";

export function BotCosts({ user, name }: { user: string; name: string }) {
  const costs = useQuery(botCosts(useApi(), user));
  return (
    <Answer of={costs} what="Adding up the costs">
      {(told) => (
        <>
          <CostFigures costs={told.costs} />
          <Limit user={user} name={name} limit={told.limit} />
          <Card title={`By what it was for, ${told.basis.month}`} flush>
            <CostPartsTable parts={told.costs.parts} />
            <p className="subtle padded">
              It ran {lasting(told.costs.used.running_ms)} this month, {lasting(told.costs.running_today_ms)} today, and answered {told.costs.used.requests.toLocaleString()} requests. Instance
              type {told.basis.instance_type}; prices as of {told.basis.prices_as_of}.
            </p>
          </Card>
        </>
      )}
    </Answer>
  );
}

function Limit({ user, name, limit }: { user: string; name: string; limit: Told["limit"] }) {
  const api = useApi();
  const queries = useQueryClient();
  const { ask, dialog, said } = useAsk();
  const [isOpen, setOpen] = useState(false);
  const [amount, setAmount] = useState("");
  const [isUnlimited, setUnlimited] = useState(false);
  const changes = ["bot", user, "costs"];
  const set = async () => {
    const limit_microdollars = microdollars(amount);
    if (!isUnlimited && limit_microdollars === undefined) throw new Error("An amount is between $0.01 and $1,000,000.");
    await api.PUT("/api/admin/bots/{user}/limit", { params: { path: { user } }, body: isUnlimited ? { unlimited: true } : { limit_microdollars: limit_microdollars ?? null } });
    await queries.invalidateQueries({ queryKey: changes });
  };
  const isOwn = limit.source === "admin";
  return (
    <Card
      title="Monthly limit"
      aside={
        <span className="row">
          {isOwn && (
            <Button
              size="sm"
              variant="ghost"
              onClick={() =>
                ask({
                  title: `Go back to the operator's limit for ${name}'s bot?`,
                  consequences: <p>BOT_MONTHLY_LIMIT holds for it again. If the bot has cost more than that, it sleeps until the month is over.</p>,
                  verb: "Clear the limit",
                  done: "The operator's limit holds again.",
                  changes: [changes],
                  act: () => api.DELETE("/api/admin/bots/{user}/limit", { params: { path: { user } } }),
                })
              }
            >
              Clear
            </Button>
          )}
          <Button size="sm" variant="secondary" onClick={() => setOpen(true)}>
            Set …
          </Button>
        </span>
      }
    >
      <p className="row wraps-row">
        <strong>{limit.limit_microdollars === null ? "No limit" : `${money(limit.limit_microdollars)} a month`}</strong>
        <LevelBadge limit={limit} />
        <span className="subtle">{isOwn ? "set by an admin for this bot" : "by BOT_MONTHLY_LIMIT, for all bots"}</span>
      </p>
      <p className="subtle">
        A bot that has cost its limit sleeps, and its owner is told so, until a new month begins <Time at={limit.renewed_at} /> or the limit is raised.
      </p>
      {said}
      {dialog}
      <FormDialog title={`Monthly limit of ${name}'s bot`} about={<p>It takes the place of the operator's limit, from now on.</p>} verb="Set the limit" isOpen={isOpen} close={() => setOpen(false)} act={set}>
        <Switch label="No limit for this bot" checked={isUnlimited} onCheckedChange={setUnlimited} />
        {!isUnlimited && <Input label="US dollars a month" inputMode="decimal" placeholder="5.00" required autoComplete="off" value={amount} onChange={(event) => setAmount(event.target.value)} />}
      </FormDialog>
    </Card>
  );
}
