import { Card, Marked, Page } from "../ui/parts";
import { Rules } from "./settings/Rules";
import { Sinks } from "./settings/Sinks";

export function Settings() {
  return (
    <Page title="Settings" about="What admins set here, and where the rest is set.">
      <Sinks />
      <Rules />
      <Elsewhere />
    </Page>
  );
}

/** What is set where: a page that looked like everything could be changed here would be wrong. */
const PLACES: [string, string][] = [
  ["Who may sign up", "`SIGN_UP` and `ALLOW_LIST` in wrangler.toml; invitations and the allow-list on the page Users"],
  ["Who is an admin", "the role in the identity provider, or `ADMIN_USER_IDS` in wrangler.toml"],
  ["Second factor", "`REQUIRE_MFA` in wrangler.toml"],
  ["Monthly limit of each bot", "`BOT_MONTHLY_LIMIT` in wrangler.toml; of one bot on its page, under Costs"],
  ["How many bots may be awake", "`MAX_AWAKE` and `max_instances` in wrangler.toml"],
  ["When an idle bot sleeps", "`SLEEP_AFTER` in wrangler.toml; a pinned bot never does"],
  ["Size of a container", "`INSTANCE_TYPE` and `instance_type` in wrangler.toml, which must agree"],
  ["Hosts of bots", "`BOT_DOMAIN` in wrangler.toml; domains of their own on the page of each user"],
  ["Limits of requests", "the rate limiters in wrangler.toml"],
  ["Secrets", "`wrangler secret put`; none is ever shown"],
];

function Elsewhere() {
  return (
    <Card title="Set elsewhere">
      <dl className="facts">
        {PLACES.map(([what, where]) => (
          <Place key={what} what={what} where={where} />
        ))}
      </dl>
      <p className="subtle">What stands in wrangler.toml takes effect with the next deployment.</p>
    </Card>
  );
}

function Place({ what, where }: { what: string; where: string }) {
  return (
    <>
      <dt>{what}</dt>
      <dd>
        <Marked text={where} />
      </dd>
    </>
  );
}
