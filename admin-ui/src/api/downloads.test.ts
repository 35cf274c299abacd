import { describe, expect, it, vi } from "vitest";
import { commandOf, TOO_LARGE, within } from "./downloads";

describe("a download", () => {
  it("is read with what has come of it, up to what a page holds", async () => {
    const cancel = vi.fn();
    const body = () => {
      let sent = 0;
      return new ReadableStream({ pull: (to) => (sent++ < 3 ? to.enqueue(new Uint8Array(10)) : to.close()), cancel }, { highWaterMark: 0 });
    };
    const heard = vi.fn();
    expect(await within(body(), heard, 30)).toHaveLength(3);
    expect(heard.mock.calls).toEqual([[10], [20], [30]]);
    expect(cancel).not.toHaveBeenCalled();
    await expect(within(body(), heard, 29)).rejects.toMatchObject({ code: TOO_LARGE });
    expect(cancel).toHaveBeenCalledOnce();
  });

  it("is a command whose quotes no name ends", () => {
    const path = encodeURIComponent("it's; rm -rf $HOME");
    expect(commandOf({ user: "u", snapshot: "aa", path, isDirectory: false })).toBe(
      `curl -f -H "Authorization: Bearer $TOKEN" -o file '${location.origin}/api/admin/bots/u/snapshots/file?snapshot=aa&path=it%27s%3B%20rm%20-rf%20%24HOME'`,
    );
  });
});
