import { Button } from "@cloudflare/kumo/components/button";
import { Input } from "@cloudflare/kumo/components/input";
import { useQuery } from "@tanstack/react-query";
import { useQueryClient } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { allowList, invitations } from "../../api/queries";
import { useApi, useStage } from "../../session/context";
import { FormDialog } from "../../ui/FormDialog";
import { Answer, Card, Nothing, Time } from "../../ui/parts";
import { useAsk } from "../../ui/useAsk";
import { actorWords } from "../../words/events";

/** Who may become a user. */
export function Access() {
  return (
    <div className="columns">
      <Invitations />
      <AllowList />
    </div>
  );
}

function Invitations() {
  const api = useApi();
  const list = useQuery(invitations(api));
  const { ask, dialog, said } = useAsk();
  const me = useMe();
  return (
    <Card
      title="Invitations"
      aside={<Add title="Invite one person" about="They become a user when they sign in for the first time. No message is sent: tell them yourself." label="E-mail address or user id" verb="Invite" changes="invitations" add={(entry) => api.POST("/api/admin/invitations", { body: { entry } })} />}
      flush
    >
      {said}
      <Answer of={list} what="Reading the invitations" lines={2}>
        {(entries) =>
          entries.length === 0 ? (
            <Nothing title="Nobody is invited" />
          ) : (
            <ul className="rows">
              {entries.map(({ entry, invited_at, invited_by, used_at }) => (
                <Line
                  key={entry}
                  entry={entry}
                  about={
                    <>
                      invited by {actorWords(invited_by, me)} <Time at={invited_at} />
                      {used_at !== null && (
                        <>
                          {" · used "}
                          <Time at={used_at} />
                        </>
                      )}
                    </>
                  }
                  verb="Take back"
                  act={() =>
                    ask({
                      title: `Take back the invitation of ${entry}?`,
                      consequences: <p>{used_at === null ? "They cannot become a user by it any more." : "It was used: who came by it stays a user. Suspend them to keep them out."}</p>,
                      verb: "Take back",
                      destroys: true,
                      done: "The invitation is taken back.",
                      changes: [["invitations"]],
                      act: () => api.DELETE("/api/admin/invitations", { body: { entry } }),
                    })
                  }
                />
              ))}
            </ul>
          )
        }
      </Answer>
      {dialog}
    </Card>
  );
}

function AllowList() {
  const api = useApi();
  const list = useQuery(allowList(api));
  const { ask, dialog, said } = useAsk();
  const me = useMe();
  return (
    <Card
      title="Allow-list"
      aside={<Add title="Add to the allow-list" about="Whoever matches becomes a user without an invitation, where sign-up is by the allow-list." label="E-mail address, @domain or user id" verb="Add" changes="allow-list" add={(entry) => api.POST("/api/admin/allow-list", { body: { entry } })} />}
      flush
    >
      {said}
      <Answer of={list} what="Reading the allow-list" lines={2}>
        {(entries) =>
          entries.length === 0 ? (
            <Nothing title="The list is empty" about="What ALLOW_LIST in wrangler.toml names is not shown here." />
          ) : (
            <ul className="rows">
              {entries.map(({ entry, added_at, added_by }) => (
                <Line
                  key={entry}
                  entry={entry}
                  about={
                    <>
                      added by {actorWords(added_by, me)} <Time at={added_at} />
                    </>
                  }
                  verb="Remove"
                  act={() =>
                    ask({
                      title: `Remove ${entry} from the allow-list?`,
                      consequences: <p>Nobody becomes a user by this line any more. Who is one already stays one.</p>,
                      verb: "Remove",
                      destroys: true,
                      done: "The line is removed.",
                      changes: [["allow-list"]],
                      act: () => api.DELETE("/api/admin/allow-list", { body: { entry } }),
                    })
                  }
                />
              ))}
            </ul>
          )
        }
      </Answer>
      {dialog}
    </Card>
  );
}

function useMe() {
  const stage = useStage();
  return stage.at === "in" ? stage.user : "";
}

function Line({ entry, about, verb, act }: { entry: string; about: ReactNode; verb: string; act: () => void }) {
  return (
    <li className="row between">
      <span className="shrinks">
        <strong className="wraps">{entry}</strong>
        <span className="subtle block">{about}</span>
      </span>
      <Button size="sm" variant="ghost" aria-label={`${verb}: ${entry}`} onClick={act}>
        {verb}
      </Button>
    </li>
  );
}

interface AddProps {
  title: string;
  about: string;
  label: string;
  verb: string;
  changes: string;
  add: (entry: string) => Promise<unknown>;
}

function Add({ title, about, label, verb, changes, add }: AddProps) {
  const queries = useQueryClient();
  const [isOpen, setOpen] = useState(false);
  const [entry, setEntry] = useState("");
  const act = async () => {
    await add(entry.trim());
    setEntry("");
    await queries.invalidateQueries({ queryKey: [changes] });
  };
  return (
    <>
      <Button size="sm" variant="secondary" onClick={() => setOpen(true)}>
        {verb} …
      </Button>
      <FormDialog title={title} about={<p>{about}</p>} verb={verb} isOpen={isOpen} close={() => setOpen(false)} act={act}>
        <Input label={label} required maxLength={254} autoComplete="off" value={entry} onChange={(event) => setEntry(event.target.value)} />
      </FormDialog>
    </>
  );
}
