import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Session } from "./session";

const AUTH = "https://project.test/auth/v1";
const claims = Buffer.from(JSON.stringify({ sub: "an-admin", exp: Math.floor(Date.now() / 1_000) + 3_600 })).toString("base64url");
const TOKEN = `e30.${claims}.c2ln`;

interface Answers {
  factors?: object[];
  secondFactor?: boolean;
  health?: [number, object];
  /** Whether the platform keeps the session over a reload, and for how long its tokens are good. */
  keeps?: boolean;
  /** The session of the cookie that an earlier page left. */
  left?: boolean;
  tokenLastsMs?: number;
  /** Whose that is. */
  user?: string;
  /** What the answer about that cookie waits for. */
  held?: Promise<void>;
  /** What the provider answers to whoever asks for tokens. */
  renewal?: number;
}

/** The platform and the identity provider, and what they were asked. */
function world({ factors = [], secondFactor = true, health = [200, { health: "healthy", components: [] }], renewal = 200, keeps = false, left = false, tokenLastsMs = 3_600_000, user: userId = "an-admin", held }: Answers) {
  const asked: Request[] = [];
  const user = { id: "an-admin", email: "admin@example.org", factors };
  const session = { access_token: TOKEN, token_type: "bearer", expires_in: 3_600, refresh_token: "r", user };
  const kept = { access_token: TOKEN, expires_at: Date.now() + tokenLastsMs, user_id: userId, email: "admin@example.org" };
  const answers: Record<string, [number, object]> = {
    "/api/admin/session": keeps ? [200, { session: kept }] : [404, { code: "not-found", title: "There is nothing here." }],
    "/api/sign-in/session": [200, { session: left ? kept : null }],
    "/api/sign-in": [200, { auth_url: AUTH, api_key: "public", second_factor: secondFactor }],
    "/api/admin/health": health,
    "/auth/v1/token": [renewal, session],
    "/auth/v1/user": [200, user],
    "/auth/v1/factors": [200, { id: "new", type: "totp", totp: { qr_code: "<svg/>", secret: "ABC", uri: "otpauth://x" } }],
    "/auth/v1/factors/known/challenge": [200, { id: "c" }],
    "/auth/v1/factors/known/verify": [200, session],
    "/auth/v1/logout": [200, {}],
  };
  vi.stubGlobal("fetch", async (input: Request | string, init?: RequestInit) => {
    const request = new Request(input, init);
    asked.push(request);
    const { pathname } = new URL(request.url);
    if (pathname === "/api/sign-in/session") await held;
    const [status, body] = answers[pathname] ?? [404, {}];
    return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });
  });
  return { asked, of: (path: string) => asked.filter(({ url }) => new URL(url).pathname === path) };
}

const TOTP = { id: "known", factor_type: "totp", status: "verified" };

async function begun() {
  const session = new Session();
  await session.begin();
  expect(session.stage().at).toBe("password");
  return session;
}

describe("the sign-in", () => {
  beforeEach(() => localStorage.clear());
  afterEach(() => vi.unstubAllGlobals());

  it("asks whoever has an authenticator app for its code, then the platform", async () => {
    const { of } = world({ factors: [TOTP] });
    const session = await begun();
    expect(await session.password("admin@example.org", "right")).toBeUndefined();
    expect(session.stage()).toMatchObject({ at: "code", factor: "known" });
    expect(of("/api/admin/health")).toHaveLength(0);
    expect(await session.code("123 456")).toBeUndefined();
    expect(session.stage()).toMatchObject({ at: "in", email: "admin@example.org", user: "an-admin" });
    const [call] = of("/api/admin/health");
    expect(call?.headers.get("authorization")).toBe(`Bearer ${TOKEN}`);
    expect(call?.credentials).toBe("omit");
  });

  it("has who has no second factor enrol one, unless none is wanted", async () => {
    world({});
    const session = await begun();
    await session.password("admin@example.org", "right");
    expect(session.stage()).toMatchObject({ at: "enrolment", secret: "ABC" });
    world({ secondFactor: false });
    const other = await begun();
    await other.password("admin@example.org", "right");
    expect(other.stage().at).toBe("in");
  });

  it("tells who is no admin so, and signs them out", async () => {
    const { of } = world({ secondFactor: false, health: [403, { code: "not-an-admin", title: "This is for administrators." }] });
    const session = await begun();
    await session.password("user@example.org", "right");
    expect(session.stage()).toMatchObject({ at: "password", notice: "This account is no administrator here." });
    await vi.waitFor(() => expect(of("/auth/v1/logout")).toHaveLength(1));
    expect(await session.token()).toBeUndefined();
  });

  it("ends when the platform no longer accepts the token", async () => {
    const answers: Answers = { secondFactor: false };
    world(answers);
    const session = await begun();
    await session.password("admin@example.org", "right");
    const { of } = world({ ...answers, health: [401, { code: "token-expired", title: "The access token has expired." }] });
    await expect(session.api.GET("/api/admin/health", {})).rejects.toMatchObject({ code: "token-expired" });
    expect(session.stage().at).toBe("password");
    await vi.waitFor(() => expect(of("/auth/v1/logout")).toHaveLength(1));
  });

  it("outlives an identity provider that does not answer for a while", async () => {
    const answers: Answers = { secondFactor: false };
    world(answers);
    const session = await begun();
    await session.password("admin@example.org", "right");
    const { of } = world({ ...answers, renewal: 503 });
    vi.useFakeTimers({ now: Date.now() + 2 * 3_600_000 });
    const refused = expect(session.api.GET("/api/admin/health", {})).rejects.toMatchObject({ code: "no-answer" });
    // Its client tries again for half a minute.
    await vi.advanceTimersByTimeAsync(120_000);
    await refused;
    vi.useRealTimers();
    expect(of("/api/admin/health")).toHaveLength(0);
    expect(session.stage().at).toBe("in");
  });

  it("is not ended by a late answer about an earlier token", async () => {
    const { of } = world({ secondFactor: false });
    const session = await begun();
    await session.password("admin@example.org", "right");
    session.refused("token-expired", "an-earlier-one");
    expect(session.stage().at).toBe("in");
    expect(of("/auth/v1/logout")).toHaveLength(0);
  });

  it("hands the refresh token over once somebody is in, and holds none", async () => {
    const { of } = world({ secondFactor: false, keeps: true });
    const session = await begun();
    await session.password("admin@example.org", "right");
    expect(session.stage()).toMatchObject({ at: "in", user: "an-admin" });
    const [handed] = of("/api/admin/session");
    expect(await handed?.clone().json()).toEqual({ refresh_token: "r" });
    await session.leave();
    expect(of("/auth/v1/logout")).toHaveLength(0);
    expect(of("/api/sign-in/session").map(({ method }) => method)).toEqual(["POST", "DELETE"]);
    expect(await session.token()).toBeUndefined();
  });

  it("is taken up after a reload without a password", async () => {
    const { of } = world({ left: true });
    const session = new Session();
    await session.begin();
    expect(session.stage()).toMatchObject({ at: "in", email: "admin@example.org", user: "an-admin" });
    expect(of("/api/sign-in/session")[0]?.credentials).toBe("same-origin");
    expect(of("/api/admin/health")[0]?.credentials).toBe("omit");
  });

  it("gives its token to nobody who signs in after a failed reload", async () => {
    world({ left: true, secondFactor: false, health: [503, { code: "not-configured", title: "Something is not set." }] });
    const session = new Session();
    await session.begin();
    expect(session.stage()).toMatchObject({ at: "password", notice: "Something is not set." });
    const { of } = world({ left: true, secondFactor: false, keeps: true });
    await session.password("other@example.org", "right");
    expect(session.stage()).toMatchObject({ at: "in" });
    expect(of("/api/admin/session")).toHaveLength(1);
  });

  it("takes no token that comes after a sign-out", async () => {
    world({ secondFactor: false, keeps: true, tokenLastsMs: 1_000 });
    const session = await begun();
    await session.password("admin@example.org", "right");
    let go = () => {};
    world({ secondFactor: false, left: true, held: new Promise((resolve) => (go = resolve)) });
    const late = expect(session.token()).rejects.toMatchObject({ code: "sign-in-required" });
    void session.leave();
    const { of } = world({ secondFactor: false, keeps: true });
    await session.password("other@example.org", "right");
    go();
    await late;
    expect(session.stage()).toMatchObject({ at: "in" });
    expect(of("/api/admin/session")).toHaveLength(1);
  });

  it("ends where the cookie became somebody else's, and leaves it to them", async () => {
    world({ secondFactor: false, keeps: true, tokenLastsMs: 1_000 });
    const session = await begun();
    await session.password("admin@example.org", "right");
    const { of } = world({ left: true, user: "another" });
    await expect(session.api.GET("/api/admin/health", {})).rejects.toMatchObject({ code: "sign-in-required" });
    expect(session.stage()).toMatchObject({ at: "password", notice: expect.stringContaining("another tab") });
    expect(of("/api/sign-in/session").map(({ method }) => method)).toEqual(["POST"]);
  });

  it("ends in every tab when it is ended in one", async () => {
    const { of } = world({ left: true });
    const [here, there] = [new Session(), new Session()];
    await Promise.all([here.begin(), there.begin()]);
    expect(there.stage()).toMatchObject({ at: "in" });
    await here.leave();
    await vi.waitFor(() => expect(there.stage()).toMatchObject({ at: "password", notice: "You signed out in another tab." }));
    expect(of("/api/sign-in/session").filter(({ method }) => method === "DELETE")).toHaveLength(1);
  });

  it("asks for the next token before one ends, and is over without one", async () => {
    world({ secondFactor: false, keeps: true, tokenLastsMs: 1_000 });
    const session = await begun();
    await session.password("admin@example.org", "right");
    expect(session.stage()).toMatchObject({ at: "in" });
    await expect(session.api.GET("/api/admin/health", {})).rejects.toMatchObject({ code: "sign-in-required" });
    expect(session.stage()).toMatchObject({ at: "password", notice: "Your session is over; sign in again." });
  });

  it("leaves nothing of itself in the browser's storage", async () => {
    world({ factors: [TOTP] });
    const session = await begun();
    await session.password("admin@example.org", "right");
    await session.code("123456");
    const kept = JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]);
    expect(kept).not.toContain(TOKEN);
    expect(localStorage).toHaveLength(0);
    expect(sessionStorage).toHaveLength(0);
  });
});
