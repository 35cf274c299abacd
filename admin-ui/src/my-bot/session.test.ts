import { afterEach, describe, expect, it, vi } from "vitest";
import { OwnSession } from "./session";

/** The platform, which answers so, and what it was asked. */
function world(answers: Record<string, [number, object]>) {
  const asked: Request[] = [];
  vi.stubGlobal("fetch", async (request: Request) => {
    asked.push(request);
    const [status, body] = answers[new URL(request.url).pathname] ?? [404, {}];
    return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });
  });
  return asked;
}

const session = (csrf_token: string | null) => ({ user: "u", email: "alice@example.org", csrf_token });

describe("an owner's session", () => {
  afterEach(() => vi.unstubAllGlobals());

  it("sends its CSRF token along, once it knows it", async () => {
    const asked = world({ "/api/bot/session": [200, session("abc")], "/api/bot/pin": [200, {}] });
    const own = new OwnSession();
    await own.begin();
    expect(own.stage()).toEqual({ at: "in", user: "u", email: "alice@example.org", mayChange: true });
    await own.api.POST("/api/bot/pin", {});
    expect(asked.map(({ headers }) => headers.get("x-csrf-token"))).toEqual([null, "abc"]);
    expect(asked.map(({ credentials }) => credentials)).toEqual(["same-origin", "same-origin"]);
  });

  it("changes nothing where there is no such token", async () => {
    world({ "/api/bot/session": [200, session(null)] });
    const own = new OwnSession();
    await own.begin();
    expect(own.stage()).toMatchObject({ at: "in", mayChange: false });
    expect(await own.header()).toBeUndefined();
  });

  it("says why it is over", async () => {
    world({ "/api/bot/session": [200, session("abc")], "/api/bot": [403, { code: "account-suspended", title: "x" }] });
    const own = new OwnSession();
    await own.begin();
    await expect(own.api.GET("/api/bot", {})).rejects.toMatchObject({ code: "account-suspended" });
    expect(own.stage()).toMatchObject({ at: "out", why: expect.stringContaining("suspended") });
    expect(await own.header()).toBeUndefined();
  });

  it("takes the token of a session that was begun in another tab", async () => {
    const answers: Record<string, [number, object]> = { "/api/bot/session": [200, session("old")], "/api/bot/pin": [403, { code: "csrf-token-refused", title: "x" }] };
    world(answers);
    const own = new OwnSession();
    await own.begin();
    answers["/api/bot/session"] = [200, session("new")];
    await expect(own.api.POST("/api/bot/pin", {})).rejects.toMatchObject({ code: "csrf-token-refused" });
    await vi.waitFor(async () => expect(await own.header()).toEqual(["x-csrf-token", "new"]));
  });

  it("asks who it is without the token it had, and begins anew for another", async () => {
    const answers: Record<string, [number, object]> = { "/api/bot/session": [200, session("old")], "/api/bot/pin": [403, { code: "csrf-token-refused", title: "x" }] };
    const asked = world(answers);
    const reload = vi.fn();
    const own = new OwnSession(reload);
    await own.begin();
    answers["/api/bot/session"] = [200, { ...session("theirs"), user: "another" }];
    await expect(own.api.POST("/api/bot/pin", {})).rejects.toMatchObject({ code: "csrf-token-refused" });
    await vi.waitFor(() => expect(reload).toHaveBeenCalledOnce());
    expect(asked.at(-1)?.headers.get("x-csrf-token")).toBeNull();
    expect(await own.header()).toBeUndefined();
    expect(own.stage()).toMatchObject({ user: "u" });
  });

  it("is still there when it could not be ended", async () => {
    vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("network")));
    await expect(new OwnSession().leave()).rejects.toMatchObject({ code: "not-signed-out", message: expect.stringContaining("sign in and out again") });
  });
});
