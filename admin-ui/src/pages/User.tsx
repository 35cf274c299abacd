import { Button } from "@cloudflare/kumo/components/button";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import type { User } from "../api/client";
import { user } from "../api/queries";
import { useApi, useStage } from "../session/context";
import { Answer, Card, Page, Time } from "../ui/parts";
import { useAsk, type Asked } from "../ui/useAsk";
import { actorWords } from "../words/events";
import { Domains } from "./users/Domains";
import { UserStatus } from "./Users";

const route = getRouteApi("/users/$user");

export function UserPage() {
  const { user: id } = route.useParams();
  const one = useQuery(user(useApi(), id));
  return (
    <Page
      title={one.data?.email ?? id}
      about={
        <>
          <Link to="/users">Users</Link> / <span className="mono wraps">{id}</span>
        </>
      }
      actions={one.data && <UserStatus user={one.data} />}
    >
      <Answer of={one} what="Reading the user" lines={5}>
        {(data) => (
          <>
            <Orders user={data} />
            <Facts user={data} />
          </>
        )}
      </Answer>
      <Domains user={id} />
    </Page>
  );
}

function Facts({ user }: { user: User }) {
  const stage = useStage();
  return (
    <Card title="Facts">
      <dl className="facts">
        <dt>Bot</dt>
        <dd>
          <Link to="/bots/$user" params={{ user: user.user_id }}>
            State, snapshots, log and history of their bot
          </Link>
        </dd>
        <dt>Role</dt>
        <dd>{user.role}, as their last token said it</dd>
        <dt>Came first</dt>
        <dd>
          <Time at={user.created_at} />
        </dd>
        <dt>Came last</dt>
        <dd>
          <Time at={user.seen_at} />
        </dd>
        <dt>Status set</dt>
        <dd>
          <Time at={user.status_at} none="never" />
          {user.status_by !== null && ` by ${actorWords(user.status_by, stage.at === "in" ? stage.user : "")}`}
        </dd>
      </dl>
    </Card>
  );
}

/** What may be ordered about a user in this status, and what that does to them and their data. */
export function ordersFor({ status, email, user_id }: Pick<User, "status" | "email" | "user_id">): (Omit<Asked, "act"> & { path: "activate" | "suspend" | "delete" })[] {
  const name = email ?? user_id;
  const activate = {
    path: "activate" as const,
    title: `Let ${name} in again?`,
    consequences: <p>They may sign in again, and a suspension of their bot ends. Their bot has the home and the snapshots it had.</p>,
    verb: "Activate",
    done: "They are let in again.",
  };
  const suspend = {
    path: "suspend" as const,
    title: `Suspend ${name}?`,
    consequences: (
      <>
        <p>They are kept out at once, on all their devices, and their bot is stopped. Nothing wakes it.</p>
        <p>Their data stays: the home is saved first if it can be, and snapshots, domains and history are kept. Activating them undoes it.</p>
      </>
    ),
    verb: "Suspend",
    destroys: true,
    done: "They are suspended.",
  };
  const remove = {
    path: "delete" as const,
    title: `Mark ${name} as deleted?`,
    consequences: (
      <>
        <p>They are kept out for good, and their bot is stopped. Signing in again makes no new user of them.</p>
        <p>
          Their data is not erased by this: the repository with their snapshots stays in the bucket, and their row, domains and history stay in the database. Their account at the
          identity provider stays as well; remove it there.
        </p>
        <p>Activating them undoes it.</p>
      </>
    ),
    verb: "Delete",
    destroys: true,
    done: "They are marked as deleted.",
  };
  return status === "active" ? [suspend, remove] : status === "suspended" ? [activate, remove] : [activate];
}

function Orders({ user }: { user: User }) {
  const api = useApi();
  const { ask, dialog, said } = useAsk();
  const of = { params: { path: { user: user.user_id } } };
  const act = {
    activate: () => api.POST("/api/admin/users/{user}/activate", of),
    suspend: () => api.POST("/api/admin/users/{user}/suspend", of),
    delete: () => api.POST("/api/admin/users/{user}/delete", of),
  };
  return (
    <section aria-label="Actions">
      <div className="row wraps-row">
        {ordersFor(user).map(({ path, ...order }) => (
          <Button key={path} size="sm" variant={order.destroys ? "secondary-destructive" : "secondary"} onClick={() => ask({ ...order, act: act[path], changes: [["user", user.user_id], ["users"], ["bot", user.user_id]] })}>
            {order.verb}
          </Button>
        ))}
      </div>
      {said}
      {dialog}
    </section>
  );
}
