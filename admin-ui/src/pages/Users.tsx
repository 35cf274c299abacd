import { Table } from "@cloudflare/kumo/components/table";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useCallback } from "react";
import type { User } from "../api/client";
import { users, usersByBot } from "../api/queries";
import { useApi } from "../session/context";
import { SearchField } from "../ui/SearchField";
import { Answer, Card, Nothing, Page, Time, ToneBadge } from "../ui/parts";
import { VirtualTable, type Pages } from "../ui/VirtualTable";
import { isOfBots } from "../words/states";
import type { Tone } from "../words/states";
import { Access } from "./users/Access";

const route = getRouteApi("/users");
const ROW_HEIGHT = 64;

export function Users() {
  const { search = "" } = route.useSearch();
  const navigate = route.useNavigate();
  const change = useCallback((text: string | undefined) => void navigate({ search: text ? { search: text } : {}, replace: true }), [navigate]);
  return (
    <Page title="Users" about="Everybody who was let in once, and who may become a user.">
      <div className="filters one" role="search">
        <SearchField label="Search" placeholder="Beginning of an e-mail address, or a user id" given={search} search={change} />
      </div>
      {search === "" ? <All /> : <Found search={search} />}
      <Access />
    </Page>
  );
}

function All() {
  const list = useInfiniteQuery(users(useApi()));
  return (
    <Card flush>
      <Answer of={list} what="Reading the users" lines={8}>
        {({ pages }) => {
          const all = pages.flatMap((page) => page.users);
          return all.length === 0 ? <Nothing title="There are no users yet" about="Somebody appears here when they sign in for the first time." /> : <UserTable users={all} list={list} />;
        }}
      </Answer>
    </Card>
  );
}

const COLUMNS = [{ name: "User" }, { name: "Status" }, { name: "Role", wide: true }, { name: "Came last", wide: true }, { name: "Came first", wide: true }];

function UserTable({ users, list }: { users: User[]; list: Pages }) {
  return (
    <VirtualTable
      label="users"
      columns={COLUMNS}
      rows={users}
      rowHeight={ROW_HEIGHT}
      idOf={({ user_id }) => user_id}
      pages={list}
      cells={(user) => (
        <>
          <Table.Cell className="owner">
            <Link to="/users/$user" params={{ user: user.user_id }} className="clipped block" preload={false}>
              {user.email ?? "no e-mail address"}
            </Link>
            <div className="subtle mono clipped" title={user.user_id}>
              {user.user_id}
            </div>
          </Table.Cell>
          <Table.Cell>
            <UserStatus user={user} />
          </Table.Cell>
          <Table.Cell className="wide">{user.role}</Table.Cell>
          <Table.Cell className="wide nowrap">
            <Time at={user.seen_at} />
          </Table.Cell>
          <Table.Cell className="wide nowrap">
            <Time at={user.created_at} />
          </Table.Cell>
        </>
      )}
    />
  );
}

const STATUSES: Record<User["status"], { name: string; tone: Tone }> = {
  active: { name: "Active", tone: "good" },
  suspended: { name: "Suspended", tone: "watch" },
  deleted: { name: "Deleted", tone: "rest" },
};

export function UserStatus({ user }: { user: User }) {
  const { name, tone } = STATUSES[user.status] ?? { name: user.status, tone: "rest" };
  return <ToneBadge tone={tone}>{name}</ToneBadge>;
}

/** The list of users has no search; that of bots has one, and an id leads to its user at once. */
function Found({ search }: { search: string }) {
  const bots = useQuery(usersByBot(useApi(), search));
  return (
    <Card title="Found" flush>
      {isOfBots(search) && (
        <p className="padded">
          <Link to="/users/$user" params={{ user: search }}>
            User {search}
          </Link>
        </p>
      )}
      <Answer of={bots} what="Searching" lines={3}>
        {(found) =>
          found.length === 0 ? (
            <Nothing title="No user with a bot is like that" about="Users are found by the beginning of their e-mail address or id once they have opened their bot. Who has not is in the list below an empty search." />
          ) : (
            <ul className="rows">
              {found.map((bot) => (
                <li key={bot.user_id}>
                  <Link to="/users/$user" params={{ user: bot.user_id }}>
                    {bot.email ?? "no e-mail address"}
                  </Link>
                  <span className="subtle mono clipped">{bot.user_id}</span>
                </li>
              ))}
            </ul>
          )
        }
      </Answer>
    </Card>
  );
}
