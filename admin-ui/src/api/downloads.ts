// Parts of a snapshot, to be saved on an admin's disk. A page gets them with a token, so not by a link: they are read by it.
import { Problem, type Api } from "./client";
import { inSnapshot, snapshotQuery } from "./in-snapshot";

/** What a page reads holds the tab's memory until it is saved; twice this, while it is put together, is what a phone bears. */
export const MAX_DOWNLOAD_BYTES = 256_000_000;

/** What is larger than a page reads. */
export const TOO_LARGE = "too-large-here";

export interface Wanted {
  user: string;
  snapshot: string;
  path: string;
  isDirectory: boolean;
}

/** A file as it is, a directory as a tar. `heard` is told how much has come. */
export async function download(api: Api, { user, snapshot, path, isDirectory }: Wanted, signal: AbortSignal, heard: (bytes: number) => void): Promise<Blob> {
  const of = { params: { path: { user }, query: { snapshot, path } }, ...inSnapshot(snapshot, path), parseAs: "stream" as const, signal };
  const { data, response } = isDirectory ? await api.GET("/api/admin/bots/{user}/snapshots/archive", of) : await api.GET("/api/admin/bots/{user}/snapshots/file", of);
  return new Blob(await within(data ?? null, heard), { type: response.headers.get("content-type") ?? "" });
}

/** The parts of a body, if they are no more than a page reads. */
export async function within(body: ReadableStream<Uint8Array<ArrayBuffer>> | null, heard: (bytes: number) => void, most = MAX_DOWNLOAD_BYTES) {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const reader = body?.getReader();
  let bytes = 0;
  for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
    bytes += part.value.length;
    if (bytes > most) {
      await reader?.cancel();
      throw tooLarge();
    }
    parts.push(part.value);
    heard(bytes);
  }
  return parts;
}

export function tooLarge(): Problem {
  return new Problem(0, TOO_LARGE, "This is more than a page can hold.");
}

/** What does the same in a shell. Nothing that a bot has named ends the quotes. */
export function commandOf({ user, snapshot, path, isDirectory }: Wanted): string {
  const what = isDirectory ? "archive" : "file";
  const url = `${location.origin}/api/admin/bots/${encodeURIComponent(user)}/snapshots/${what}?${snapshotQuery(snapshot, path)}`;
  return `curl -f -H "Authorization: Bearer $TOKEN" -o ${isDirectory ? "home.tar" : "file"} '${url.replaceAll("'", "%27")}'`;
}
