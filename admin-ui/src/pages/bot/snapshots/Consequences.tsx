import type { BotStatus, Snapshot } from "../../../api/client";
import { Time } from "../../../ui/parts";
import { restoreWords } from "../../../words/restore";
import { reasonWords } from "../../../words/snapshots";
import { size } from "../../../words/states";
import { exactly } from "../../../words/time";

/** What a restore puts in the place of what. */
export function Consequences({ status, snapshot }: { status: BotStatus; snapshot: Snapshot }) {
  const { backups } = status;
  const { back, course } = restoreWords(status, "the bot");
  const taken = snapshot.taken_at ?? snapshot.stored_at;
  const newest = backups?.newest;
  const amount = [snapshot.files !== undefined && `${snapshot.files.toLocaleString()} files`, snapshot.bytes !== undefined && size(snapshot.bytes)].filter(Boolean).join(", ");
  return (
    <>
      <dl className="facts">
        <dt>Replaced</dt>
        <dd>
          The whole home as it is now: every file, chat, setting and key in it.
          {newest && (
            <>
              {" "}
              Its newest snapshot is of {exactly(newest.at)}
              {backups.unsaved_since === null ? ", and nothing has changed since." : ", and it has changed since."}
            </>
          )}
        </dd>
        <dt>By</dt>
        <dd>
          {taken > 0 ? (
            <>
              The home of {exactly(taken)} (<Time at={taken} />
              {amount !== "" && `; ${amount}`}). {reasonWords(snapshot.reason)}.
            </>
          ) : (
            "The home of that snapshot."
          )}{" "}
          <span className="mono wraps">{snapshot.id}</span>
        </dd>
        {snapshot.suspicious != null && (
          <>
            <dt>Beware</dt>
            <dd>This snapshot is suspicious: {snapshot.suspicious}</dd>
          </>
        )}
        {snapshot.left_out && snapshot.left_out.files > 0 && (
          <>
            <dt>Not in it</dt>
            <dd>
              {snapshot.left_out.files.toLocaleString()} files, {size(snapshot.left_out.bytes)}, that snapshots leave out.
            </dd>
          </>
        )}
        <dt>Undone by</dt>
        <dd>{back}</dd>
      </dl>
      <p>{course}</p>
    </>
  );
}
