// Whose page it is: the browser's session on this host, and the CSRF token that shows that this page asks. Both are the
// platform's; nothing is kept here beyond this page.
import { calls, document, Problem, type Api, type Proof } from "../api/client";

export type Stage =
  | { at: "beginning" }
  | { at: "unavailable"; reason: string }
  | { at: "in"; user: string; email: string | null; mayChange: boolean }
  | { at: "out"; why: string };

/** Why there is no session any more, in words. */
const ENDS: Record<string, string> = {
  "sign-in-required": "You are signed out.",
  "second-factor-required": "Sign in with a second factor.",
  "account-suspended": "This account is suspended. Ask your administrator.",
  "account-deleted": "This account no longer exists.",
  "not-invited": "This account has not been invited. Ask your administrator.",
};

export class OwnSession implements Proof {
  readonly credentials = "same-origin";
  readonly api: Api = calls(this);
  #stage: Stage = { at: "beginning" };
  #token: string | null = null;
  #heard = new Set<() => void>();

  constructor(private readonly reload: () => void = () => location.reload()) {}

  /** For React: the stage, and when it is another one. */
  readonly stage = () => this.#stage;
  readonly subscribe = (listener: () => void) => {
    this.#heard.add(listener);
    return () => this.#heard.delete(listener);
  };

  #go(stage: Stage) {
    this.#stage = stage;
    for (const listener of this.#heard) listener();
  }

  /** Finds out who is signed in; the token of whoever was would have the question refused. */
  async begin() {
    this.#token = null;
    try {
      const { user, email, csrf_token: token } = document(await this.api.GET("/api/bot/session", {}));
      // What was asked and read here is the other one's.
      if (this.#stage.at === "in" && this.#stage.user !== user) return this.reload();
      this.#token = token;
      this.#go({ at: "in", user, email, mayChange: token !== null });
    } catch (error) {
      // What ends a session has said so.
      if (error instanceof Problem && error.code in ENDS) return;
      this.#go({ at: "unavailable", reason: error instanceof Error ? error.message : String(error) });
    }
  }

  async header(): Promise<[string, string] | undefined> {
    return this.#token === null ? undefined : ["x-csrf-token", this.#token];
  }

  refused(code: string) {
    const why = ENDS[code];
    if (why !== undefined) {
      this.#token = null;
      this.#go({ at: "out", why });
      return;
    }
    // Somebody has signed in anew in another tab.
    if (code === "csrf-token-refused") void this.begin();
  }

  /** Signs out on this host; the platform leads on to the sign-in. */
  async leave() {
    const answer = await fetch("/auth/sign-out", { method: "POST", credentials: "same-origin", body: new URLSearchParams(), redirect: "manual" }).catch(() => undefined);
    if (answer?.type !== "opaqueredirect" && !answer?.ok) throw new Problem(answer?.status ?? 0, "not-signed-out", "Your session could not be ended everywhere: sign in and out again.");
    location.assign("/login");
  }
}
