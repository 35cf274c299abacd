// The query that names something in a snapshot. Names there are any bytes: a path is made of percent-encoded names, stands in a
// query as it is, and is decoded once.

export function snapshotQuery(snapshot: string, path: string): string {
  return `snapshot=${encodeURIComponent(snapshot)}${path === "" ? "" : `&path=${path}`}`;
}

/** For a call: its own serializer would encode the path again. */
export const inSnapshot = (snapshot: string, path: string) => ({ querySerializer: () => snapshotQuery(snapshot, path) });
