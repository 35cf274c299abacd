// Addresses of what is in snapshots, and the words about reading them.
import { snapshotQuery } from "../api/in-snapshot";

/** A snapshot is read by the bot's container. */
export const AWAKE_ONLY = "Your bot has to be awake to take a snapshot, look inside one or download it";

/** A name in the form the API takes, and told as people read it. */
export interface Entry {
  name: string;
  encoded_name?: string;
}

/** One step further down. Names are bytes; those that are no UTF-8 come encoded. */
export function below(path: string, entry: Entry): string {
  const name = entry.encoded_name ?? encodeURIComponent(entry.name);
  return path === "" ? name : `${path}/${name}`;
}

/** The steps of a path, each with its words. */
export function stepsOf(path: string): { path: string; name: string }[] {
  if (path === "") return [];
  const parts = path.split("/");
  return parts.map((part, index) => ({ path: parts.slice(0, index + 1).join("/"), name: readable(part) }));
}

function readable(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** A directory with all below it, as a tar; without a path the whole home. */
export function archiveOf(snapshot: string, path = ""): string {
  return address("archive", snapshot, path);
}

export function fileOf(snapshot: string, path: string): string {
  return address("file", snapshot, path);
}

function address(what: string, snapshot: string, path: string): string {
  return `/api/bot/snapshots/${what}?${snapshotQuery(snapshot, path)}`;
}
