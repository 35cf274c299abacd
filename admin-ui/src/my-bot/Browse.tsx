import { Button } from "@cloudflare/kumo/components/button";
import { Dialog } from "@cloudflare/kumo/components/dialog";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Snapshot } from "../api/client";
import { Answer, Nothing } from "../ui/parts";
import { size } from "../words/states";
import { exactly } from "../words/time";
import { useOwnApi } from "./context";
import { archiveOf, below, fileOf, stepsOf } from "./files";
import { entries } from "./queries";
import { takenAt } from "./words";

/** What is in a snapshot. */
export function Browse({ snapshot, close }: { snapshot: Snapshot | undefined; close: () => void }) {
  return (
    <Dialog.Root open={snapshot !== undefined} onOpenChange={(open) => !open && close()}>
      <Dialog size="base" className="dialog">
        {snapshot && <Inside key={snapshot.id} snapshot={snapshot} close={close} />}
      </Dialog>
    </Dialog.Root>
  );
}

function Inside({ snapshot, close }: { snapshot: Snapshot; close: () => void }) {
  const [path, setPath] = useState("");
  const list = useQuery(entries(useOwnApi(), snapshot.id, path));
  const steps = stepsOf(path);
  return (
    <>
      <Dialog.Title className="dialog-title">Snapshot of {exactly(takenAt(snapshot))}</Dialog.Title>
      <nav aria-label="Where in the home" className="row wraps-row">
        <Button size="sm" variant="ghost" disabled={path === ""} onClick={() => setPath("")}>
          Home
        </Button>
        {steps.map((step) => (
          <Button key={step.path} size="sm" variant="ghost" disabled={step.path === path} onClick={() => setPath(step.path)}>
            / {step.name}
          </Button>
        ))}
      </nav>
      <div className="inside" tabIndex={0} role="region" aria-label="Files">
        <Answer of={list} what="Reading the snapshot">
          {(found) =>
            found.length === 0 ? (
              <Nothing title="There is nothing in here" />
            ) : (
              <ul className="rows">
                {found.map((entry) => {
                  const its = below(path, entry);
                  return (
                    <li key={its} className="row between">
                      {entry.kind === "dir" ? (
                        <button type="button" className="text-button wraps" onClick={() => setPath(its)}>
                          {entry.name}/
                        </button>
                      ) : entry.kind === "file" ? (
                        <a className="wraps" href={fileOf(snapshot.id, its)} download>
                          {entry.name}
                        </a>
                      ) : (
                        <span className="wraps subtle">{entry.name} (a link)</span>
                      )}
                      <span className="subtle nowrap">{entry.kind === "file" && size(entry.bytes)}</span>
                    </li>
                  );
                })}
              </ul>
            )
          }
        </Answer>
      </div>
      <div className="row end">
        <a className="button-like" href={archiveOf(snapshot.id, path)} download>
          {path === "" ? "Download all of it" : "Download this folder"}
        </a>
        <Button variant="secondary" onClick={close}>
          Close
        </Button>
      </div>
    </>
  );
}
