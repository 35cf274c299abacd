// Who is signed in. The access token lives in this page's memory and nowhere else: no storage that another page of the host could
// read, no cookie that opens the API. The refresh token goes to the platform once somebody is in; what a reload, or another tab,
// has of it is a cookie that no script reads, for which one endpoint gives the next access token.
import { GoTrueClient, isAuthRetryableFetchError, type AuthError } from "@supabase/auth-js";
import { api, calls, document, Problem, type AdminToken, type SignInSettings, type Tokens } from "../api/client";

/** How far the sign-in is. */
export type Stage =
  | { at: "beginning" }
  | { at: "unavailable"; reason: string }
  | { at: "password"; notice?: string }
  | { at: "code"; email: string; factor: string }
  | { at: "enrolment"; email: string; factor: string; secret: string; drawing: string }
  | { at: "in"; email: string; user: string };

/** How a wrong step is told; nothing where it was right. */
type Wrong = string | undefined;

/** The name by which the platform appears in an authenticator app. */
const APP_NAME = "Moltworker admin";
/** The identity provider's words, where ours say more. */
const WORDS: Record<string, string> = {
  invalid_credentials: "The e-mail address or the password is wrong.",
  mfa_verification_failed: "This code is wrong, or its 30 seconds are over. Take the one the app shows now.",
  over_request_rate_limit: "Too many tries; wait a minute.",
};
/** Why the platform ended a session, in words. */
const ENDS: Record<string, string> = {
  "not-an-admin": "This account is no administrator here.",
  "second-factor-required": "Sign in with a second factor.",
  "account-suspended": "This account is suspended.",
  "account-deleted": "This account no longer exists.",
};

/** For what has no words of its own. */
const OVER = "Your session is over; sign in again.";
/** What another tab of this browser did. */
const LEFT = "You signed out in another tab.";
const TAKEN = "Somebody else signed in in another tab.";

/** Milliseconds before its end from which on a token is not used any more. */
const SPARE_MS = 60_000;

export class Session implements Tokens {
  #stage: Stage = { at: "beginning" };
  #heard = new Set<() => void>();
  #auth: GoTrueClient | undefined;
  #settings: SignInSettings | undefined;
  /** The token that was last used. */
  #last: string | undefined;
  /** What the platform keeps the session by, once it does. */
  #kept: AdminToken | undefined;
  #resuming: Promise<AdminToken | undefined> | undefined;
  /** Counts the sessions of this page: an answer that comes after the end of its own says nothing. */
  #generation = 0;
  /** The other tabs of this origin, which live by the same cookie. */
  readonly #tabs = new BroadcastChannel("moltworker-admin-session");
  /** The two calls that the cookie goes along with. */
  readonly #own = calls({ credentials: "same-origin", header: async () => undefined, refused: () => {} });
  /** What a caller of the API gets from it. */
  readonly api = api(this);

  /** For React: the stage, and when it is another one. */
  readonly stage = () => this.#stage;
  readonly subscribe = (listener: () => void) => {
    this.#heard.add(listener);
    return () => this.#heard.delete(listener);
  };

  constructor() {
    this.#tabs.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (this.#kept !== undefined && data === this.#kept.user_id) this.#go({ at: "password", notice: LEFT });
    };
  }

  #go(stage: Stage) {
    // Whoever signs in now may be somebody else.
    if (stage.at === "password") this.#forget();
    this.#stage = stage;
    for (const listener of this.#heard) listener();
  }

  #forget() {
    this.#generation += 1;
    this.#kept = undefined;
    this.#resuming = undefined;
  }

  /** Finds out where one signs in. */
  async begin() {
    this.#go({ at: "beginning" });
    try {
      this.#settings = document(await this.api.GET("/api/sign-in", {}));
    } catch (error) {
      return this.#go({ at: "unavailable", reason: error instanceof Error ? error.message : String(error) });
    }
    this.#connect(this.#settings);
    // Whatever hinders it, one can sign in.
    const kept = await this.#resume().catch(() => undefined);
    if (kept === undefined) return this.#go({ at: "password" });
    this.#kept = kept;
    const wrong = await this.#enter(kept.email ?? kept.user_id);
    if (wrong !== undefined) this.#go({ at: "password", notice: wrong });
  }

  #connect({ auth_url: url, api_key: key }: SignInSettings) {
    const auth = new GoTrueClient({
      url,
      headers: { apikey: key },
      persistSession: false,
      autoRefreshToken: true,
      detectSessionInUrl: false,
    });
    auth.onAuthStateChange((event) => {
      if (event === "SIGNED_OUT" && this.#auth === auth && this.#stage.at === "in") this.#go({ at: "password", notice: OVER });
    });
    this.#auth = auth;
  }

  async password(email: string, password: string): Promise<Wrong> {
    this.#forget();
    const auth = this.#provider();
    const { data, error } = await auth.signInWithPassword({ email, password });
    if (error) return words(error);
    const address = data.user.email ?? email;
    const factors = await auth.mfa.listFactors();
    if (factors.error) return words(factors.error);
    const [factor] = factors.data.totp;
    if (factor) return void this.#go({ at: "code", email: address, factor: factor.id });
    if (!this.#settings?.second_factor) return this.#enter(address);
    return this.#enrol(address, factors.data.all.filter(({ status }) => status === "unverified").map(({ id }) => id));
  }

  /** A new authenticator app. One that was begun and never proven stands in its way. */
  async #enrol(email: string, unfinished: string[]): Promise<Wrong> {
    const { mfa } = this.#provider();
    for (const factorId of unfinished) await mfa.unenroll({ factorId });
    const { data, error } = await mfa.enroll({ factorType: "totp", friendlyName: APP_NAME, issuer: location.host });
    if (error) return words(error);
    this.#go({ at: "enrolment", email, factor: data.id, secret: data.totp.secret, drawing: data.totp.qr_code });
    return undefined;
  }

  /** A code of the authenticator app. */
  async code(code: string): Promise<Wrong> {
    const stage = this.#stage;
    if (stage.at !== "code" && stage.at !== "enrolment") return undefined;
    const { error } = await this.#provider().mfa.challengeAndVerify({ factorId: stage.factor, code: code.replace(/\s/g, "") });
    return error ? words(error) : this.#enter(stage.email);
  }

  /** Whether the platform takes them for an admin, it says itself: by a call that leaves nothing in the history. */
  async #enter(email: string): Promise<Wrong> {
    const generation = this.#generation;
    try {
      await this.api.GET("/api/admin/health", { params: { query: { status: "200" } } });
    } catch (error) {
      // What ends a session has led back to its beginning, with the reason.
      return this.#stage.at === "password" ? undefined : error instanceof Error ? error.message : String(error);
    }
    if (this.#kept === undefined) await this.#keep();
    const { data } = await this.#provider().getSession();
    if (generation !== this.#generation) return undefined;
    this.#go({ at: "in", email, user: this.#kept?.user_id ?? data.session?.user.id ?? "" });
    return undefined;
  }

  /** Gives the refresh token away: two who spend it would each end the other's session. */
  async #keep() {
    const generation = this.#generation;
    const { data } = await this.#provider().getSession();
    if (!data.session || !this.#settings) return;
    try {
      // The browser takes the cookie of the answer only if cookies may go along.
      const answer = document(
        await this.api.POST("/api/admin/session", { body: { refresh_token: data.session.refresh_token }, credentials: "same-origin" }),
      );
      if (generation !== this.#generation) return;
      this.#kept = answer.session ?? undefined;
    } catch {
      // Then a reload signs in again.
      return;
    }
    const former = this.#provider();
    this.#connect(this.#settings);
    await former.stopAutoRefresh();
  }

  /** The next token of a session that the platform keeps; one call at a time. */
  async #resume(): Promise<AdminToken | undefined> {
    if (this.#resuming) return this.#resuming;
    const asked = this.#own
      .POST("/api/sign-in/session", {})
      .then((answer) => document(answer).session ?? undefined)
      .finally(() => {
        if (this.#resuming === asked) this.#resuming = undefined;
      });
    this.#resuming = asked;
    return asked;
  }

  async token() {
    if (this.#kept) {
      const [kept, generation] = [this.#kept, this.#generation];
      const next = kept.expires_at - Date.now() > SPARE_MS ? kept : await this.#resume();
      // A sign-out that came meanwhile wins.
      if (generation !== this.#generation) throw over();
      if (next === undefined) {
        void this.leave(OVER);
        throw over();
      }
      if (next.user_id !== kept.user_id) {
        // The cookie is another one's by now, who goes on in the other tab.
        this.#go({ at: "password", notice: TAKEN });
        throw over();
      }
      this.#kept = next;
      this.#last = next.access_token;
      return this.#last;
    }
    const session = await this.#auth?.getSession();
    // Without its answer the token cannot be renewed right now; that ends no session.
    if (session?.error && isAuthRetryableFetchError(session.error)) {
      throw new Problem(0, "no-answer", "The identity provider does not answer.", session.error.message);
    }
    this.#last = session?.data.session?.access_token;
    return this.#last;
  }

  /** Answers come late: one about a token that is no longer used says nothing about this session. */
  refused(code: string, token: string | undefined) {
    if (token === this.#last) void this.leave(ENDS[code] ?? OVER);
  }

  /** Signs out, this session alone: other devices keep their sessions. */
  async leave(notice?: string) {
    const kept = this.#kept;
    this.#go({ at: "password", ...(notice !== undefined && { notice }) });
    if (kept === undefined) return void (await this.#auth?.signOut({ scope: "local" }));
    this.#tabs.postMessage(kept.user_id);
    // If that is not answered, the cookie is good until its day is over, and no longer.
    await this.#own.DELETE("/api/sign-in/session", { keepalive: true }).catch(() => {});
  }

  #provider(): GoTrueClient {
    if (!this.#auth) throw new Error("the sign-in has not begun");
    return this.#auth;
  }
}

function over(): Problem {
  return new Problem(401, "sign-in-required", OVER);
}

function words(error: AuthError): string {
  return WORDS[error.code ?? ""] ?? error.message;
}
