import { Banner } from "@cloudflare/kumo/components/banner";
import { Button } from "@cloudflare/kumo/components/button";
import { useQuery } from "@tanstack/react-query";
import type { BotStatus } from "../api/client";
import type { Question } from "../ui/Confirm";
import { Answer, Card, Page, StateBadge, Time, useNow } from "../ui/parts";
import { restoreWords } from "../words/restore";
import { size } from "../words/states";
import { lasting } from "../words/time";
import { useAct } from "./act";
import { useMayChange, useOwnApi } from "./context";
import { ordersFor, type Order } from "./orders";
import { bot, costs } from "./queries";
import { Usage } from "./Usage";
import { dollars, explainOwn, isSpent } from "./words";

/** What has changed is lost only when that was confirmed as well. */
const LOSING = "What has changed since the newest snapshot cannot be saved right now. If you go on, it is lost for ever.";

export function Overview() {
  const status = useQuery(bot(useOwnApi()));
  return (
    <Page title="My bot" actions={status.data && <StateBadge state={status.data.state} />}>
      <Answer of={status} what="Asking how your bot is" lines={5}>
        {(data) => (
          <>
            <State status={data} />
            <Choice status={data} />
            <Orders status={data} />
            <div className="columns">
              <Costs />
              <Facts status={data} />
            </div>
          </>
        )}
      </Answer>
      <Usage />
    </Page>
  );
}

function State({ status }: { status: BotStatus }) {
  const { tone, headline, because, next } = explainOwn(status, useNow());
  const opens = status.state !== "stopped" && status.state !== "suspended" && !isSpent(status);
  return (
    <section className="card state" data-tone={tone} aria-label="State">
      <div className="row between wraps-row">
        <div role="status">
          <h2>{headline}</h2>
        </div>
        {opens && (
          <a className="open-bot" href="/">
            {status.state === "asleep" ? "Wake and open" : "Open my bot"}
          </a>
        )}
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

/** What a start passed over, and the two ways on. */
function Choice({ status }: { status: BotStatus }) {
  const api = useOwnApi();
  const { back, course, done } = restoreWords(status, "your bot");
  const { ask, said } = useAct();
  const choice = status.backups?.choice;
  if (!choice) return said;
  const why = choice.why ?? "it had lost more than it should";
  const keep: Question = {
    title: "Keep what your bot has now?",
    consequences: <p>It goes on with what it has. The newer state that was passed over is kept as a snapshot for a while; restore it from the list if you miss something.</p>,
    verb: "Keep what it has now",
    act: () => api.POST("/api/bot/snapshots/keep", {}),
  };
  const putBack: Question = {
    title: "Put back the newest state?",
    consequences: (
      <>
        <p>Your bot's home becomes what it was in the newest snapshot, the one that was passed over: {why}.</p>
        <p>
          {back} {course}
        </p>
      </>
    ),
    verb: "Put it back",
    act: () => api.POST("/api/bot/snapshots/put-back", {}),
  };
  return (
    <Card title="Your bot started from an older state">
      <p>
        The newest snapshot looked wrong ({why}), so your bot was started from the one before it, <Time at={choice.since} />. Which one do you want? You can decide until{" "}
        <Time at={choice.kept_until} />.
      </p>
      <div className="row wraps-row">
        <Button size="sm" variant="secondary" onClick={() => ask(keep, "It keeps what it has now.")}>
          Keep what it has now
        </Button>
        <Button size="sm" variant="secondary" onClick={() => ask(putBack, done)}>
          Put back the newest state
        </Button>
      </div>
      {said}
    </Card>
  );
}

function Orders({ status }: { status: BotStatus }) {
  const api = useOwnApi();
  const mayChange = useMayChange();
  const { ask, said } = useAct();
  const question = (order: Order): Question => ({
    title: order.title,
    consequences: <p>{order.consequences}</p>,
    verb: order.verb,
    ...(order.destroys && { destroys: true }),
    act: () => order.run(api, false),
    ...(order.mayLose && { otherwise: { code: "unsaved-changes", verb: `${order.verb} and lose it`, warning: LOSING, act: () => order.run(api, true) } }),
  });
  return (
    <section aria-label="Orders">
      <div className="row wraps-row">
        {ordersFor(status, mayChange).map((order) => (
          <Button key={order.verb} size="sm" variant={order.destroys ? "secondary-destructive" : "secondary"} onClick={() => ask(question(order), order.done)}>
            {order.verb}
          </Button>
        ))}
      </div>
      {said}
    </section>
  );
}

function Costs() {
  const account = useQuery(costs(useOwnApi()));
  return (
    <Card title="What it costs">
      <Answer of={account} what="Reading what it costs" lines={3}>
        {({ costs: its, limit }) => (
          <>
            {limit.level !== null && (
              <Banner
                variant={limit.level === "over" ? "error" : "alert"}
                title={limit.level === "over" ? "It has cost what it may this month" : "It has cost most of what it may this month"}
                description="Ask your administrator for a higher limit, or wait for the next month."
              />
            )}
            <dl className="facts">
              <dt>This month</dt>
              <dd>
                {dollars(its.month_microdollars)}
                {limit.limit_microdollars !== null && ` of ${dollars(limit.limit_microdollars)} it may`}
              </dd>
              <dt>By the end of it</dt>
              <dd>about {dollars(its.forecast_microdollars)}</dd>
              <dt>Today</dt>
              <dd>
                {dollars(its.today_microdollars)}, awake for {lasting(its.running_today_ms)}
              </dd>
              {limit.limit_microdollars !== null && (
                <>
                  <dt>New month</dt>
                  <dd>
                    <Time at={limit.renewed_at} />
                  </dd>
                </>
              )}
            </dl>
          </>
        )}
      </Answer>
    </Card>
  );
}

function Facts({ status: { since, backups, memory, disk } }: { status: BotStatus }) {
  return (
    <Card title="How it is">
      <dl className="facts">
        <dt>In this state since</dt>
        <dd>
          <Time at={since} />
        </dd>
        {backups && (
          <>
            <dt>Last saved</dt>
            <dd>
              <Time at={backups.newest?.at} none="not yet" />
            </dd>
            <dt>Not saved yet</dt>
            <dd>{backups.unsaved_since === null ? "nothing" : <>changes since <Time at={backups.unsaved_since} /></>}</dd>
            <dt>Proven by a restore</dt>
            <dd>
              <Time at={backups.verified?.at} none="not yet" />
            </dd>
          </>
        )}
        {memory && memory.used !== null && (
          <>
            <dt>Memory</dt>
            <dd>{shareOf(memory.used, memory.size)}</dd>
          </>
        )}
        {disk && disk.used !== null && (
          <>
            <dt>Disk</dt>
            <dd>{shareOf(disk.used, disk.size)}</dd>
          </>
        )}
      </dl>
    </Card>
  );
}

function shareOf(used: number, of: number | null): string {
  return of === null ? size(used) : `${size(used)} of ${size(of)}`;
}
