import { Banner } from "@cloudflare/kumo/components/banner";
import { Button } from "@cloudflare/kumo/components/button";
import { Dialog } from "@cloudflare/kumo/components/dialog";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { Problem, type Snapshot, type SnapshotEntry } from "../../../api/client";
import { commandOf, download, MAX_DOWNLOAD_BYTES, TOO_LARGE, tooLarge, type Wanted } from "../../../api/downloads";
import { snapshotFiles } from "../../../api/queries";
import { useApi } from "../../../session/context";
import { Copy } from "../../../ui/Copy";
import { Answer, Failed, Nothing, Time } from "../../../ui/parts";
import { save } from "../../../words/csv";
import { size } from "../../../words/states";
import { exactly } from "../../../words/time";

/** A step down: what is shown of a name, and the name as a query takes it. */
interface Step {
  name: string;
  encoded: string;
}

const stepTo = ({ name, encoded_name }: SnapshotEntry): Step => ({ name, encoded: encoded_name ?? encodeURIComponent(name) });
const pathOf = (steps: Step[]) => steps.map(({ encoded }) => encoded).join("/");

interface Got extends Omit<Wanted, "user" | "snapshot"> {
  name: string;
  /** Where that is known before. */
  bytes: number | undefined;
}

/** The directories of a snapshot, and the way to have some of it on one's own disk. */
export function Browse({ user, snapshot, close }: { user: string; snapshot: Snapshot | undefined; close: () => void }) {
  return (
    <Dialog.Root open={snapshot !== undefined} onOpenChange={(open) => !open && close()}>
      <Dialog size="lg" className="dialog">
        {snapshot && <Inside key={snapshot.id} user={user} snapshot={snapshot} close={close} />}
      </Dialog>
    </Dialog.Root>
  );
}

function Inside({ user, snapshot, close }: { user: string; snapshot: Snapshot; close: () => void }) {
  const api = useApi();
  const [steps, setSteps] = useState<Step[]>([]);
  const files = useQuery(snapshotFiles(api, user, snapshot.id, pathOf(steps)));
  const [come, setCome] = useState(0);
  const stop = useRef<AbortController>(undefined);
  useEffect(() => () => stop.current?.abort(), []);
  const get = useMutation({
    mutationFn: async ({ name, bytes, ...what }: Got) => {
      if (bytes !== undefined && bytes > MAX_DOWNLOAD_BYTES) throw tooLarge();
      setCome(0);
      const controller = new AbortController();
      stop.current = controller;
      save(await download(api, { user, snapshot: snapshot.id, ...what }, controller.signal, setCome), what.isDirectory ? `${name}.tar` : name);
    },
  });
  const isTooLarge = get.error instanceof Problem && get.error.code === TOO_LARGE;
  const isStopped = get.isError && stop.current?.signal.aborted === true;
  const here = steps.at(-1)?.name ?? "home";
  return (
    <>
      <Dialog.Title className="dialog-title">Snapshot of {exactly(snapshot.taken_at ?? snapshot.stored_at)}</Dialog.Title>
      <nav className="row wraps-row crumbs" aria-label="Where in the home">
        <Button size="sm" variant="ghost" onClick={() => setSteps([])}>
          home
        </Button>
        {steps.map(({ name }, index) => (
          <span key={`${index} ${name}`} className="row">
            /
            <Button size="sm" variant="ghost" onClick={() => setSteps(steps.slice(0, index + 1))}>
              {name}
            </Button>
          </span>
        ))}
      </nav>
      {files.error instanceof Problem && files.error.code === "bot-asleep" ? (
        <Nothing title="The bot is asleep" about="Only its container reads snapshots. Wake it by a restart, then browse." />
      ) : (
        <Answer of={files} what="Reading the directory">
          {(entries) =>
            entries.length === 0 ? (
              <Nothing title="The directory is empty" />
            ) : (
              <ul className="rows entries" tabIndex={0} aria-label="What is in it">
                {entries.map((entry) => (
                  <Entry key={entry.encoded_name ?? entry.name} entry={entry} open={() => setSteps([...steps, stepTo(entry)])} get={(isDirectory) => get.mutate({ path: pathOf([...steps, stepTo(entry)]), name: entry.name, isDirectory, bytes: isDirectory ? undefined : entry.bytes })} busy={get.isPending} />
                ))}
              </ul>
            )
          }
        </Answer>
      )}
      <div role="status">{get.isPending && <Banner size="sm" variant="secondary" title={`${get.variables.name} is on its way`} description={`${size(come)} so far. Leaving this dialog stops it.`} />}</div>
      {isTooLarge && get.variables && (
        <div role="alert">
          <Banner variant="alert" title="This is more than a page can hold" description={`Download what is larger than ${size(MAX_DOWNLOAD_BYTES)} by this command, with an admin's access token in TOKEN.`} />
          <Copy text={commandOf({ user, snapshot: snapshot.id, ...get.variables })} what="the command" />
        </div>
      )}
      {get.error && !isTooLarge && !isStopped && <Failed error={get.error} again={() => get.variables && get.mutate(get.variables)} />}
      <div className="row end">
        <Button variant="secondary" disabled={files.data === undefined || get.isPending} onClick={() => get.mutate({ path: pathOf(steps), name: here, isDirectory: true, bytes: steps.length === 0 ? snapshot.bytes : undefined })}>
          Download all of {here}
        </Button>
        {get.isPending && (
          <Button variant="secondary" onClick={() => stop.current?.abort()}>
            Stop the download
          </Button>
        )}
        <Button variant="secondary" onClick={close}>
          Close
        </Button>
      </div>
    </>
  );
}

function Entry({ entry, open, get, busy }: { entry: SnapshotEntry; open: () => void; get: (isDirectory: boolean) => void; busy: boolean }) {
  const isDirectory = entry.kind === "dir";
  return (
    <li className="row between">
      <span className="shrinks">
        {isDirectory ? (
          <button type="button" className="as-link wraps" onClick={open}>
            {entry.name}/
          </button>
        ) : (
          <span className="wraps">{entry.name}</span>
        )}
        <span className="subtle block">
          {entry.kind === "file" ? size(entry.bytes) : isDirectory ? "directory" : "link"}
          {entry.modified_at !== null && (
            <>
              {" · "}
              <Time at={entry.modified_at} />
            </>
          )}
        </span>
      </span>
      {entry.kind !== "link" && (
        <Button size="sm" variant="ghost" disabled={busy} aria-label={`Download ${entry.name}`} onClick={() => get(isDirectory)}>
          Download
        </Button>
      )}
    </li>
  );
}
