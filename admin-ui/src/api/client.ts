// Calls of the platform's API, typed by its document (`npm run types`), with the token of whoever is signed in.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];
export type BotState = Schemas["BotState"];
export type BotStatus = Schemas["BotStatus"];
export type ComponentHealth = Schemas["ComponentHealth"];
export type Event = Schemas["Event"];
export type Health = Schemas["Health"];
export type Incident = Schemas["ListedIncident"];
export type IncidentKind = Schemas["IncidentKind"];
export type ListedBot = Schemas["ListedBot"];
export type Mute = Schemas["Mute"];
export type Rule = Schemas["Rule"];
export type Snapshot = Schemas["ShownSnapshot"];
export type SignInSettings = Schemas["SignInSettings"];

/** A refusal of the platform's, or none of its answers at all. */
export class Problem extends Error {
  constructor(
    /** Zero where nothing was answered. */
    readonly status: number,
    /** Its stable name. */
    readonly code: string,
    title: string,
    readonly detail?: string,
  ) {
    super(title);
    this.name = "Problem";
  }
}

/** What the calls need of the session. */
export interface Tokens {
  /** An access token that is still good, or none. */
  token(): Promise<string | undefined>;
  /** The platform does not accept this one any more. */
  refused(code: string, token: string | undefined): void;
}

export type Api = ReturnType<typeof api>;

/** Codes by which the platform says that a token is no longer worth anything. */
const OVER = ["token-expired", "token-refused", "sign-in-required", "second-factor-required", "account-suspended", "account-deleted", "not-an-admin"];

export function api(tokens: Tokens, fetch: (request: Request) => Promise<Response> = (request) => globalThis.fetch(request)) {
  const client = createClient<paths>({
    baseUrl: location.origin,
    // No cookie ever goes along: what an admin may do follows from the token alone.
    credentials: "omit",
    cache: "no-store",
    fetch,
  });
  client.use({
    async onRequest({ request }) {
      const token = await tokens.token();
      if (token !== undefined) request.headers.set("authorization", `Bearer ${token}`);
      return request;
    },
    async onResponse({ request, response }) {
      if (response.ok) return;
      const problem = await problemOf(response);
      if (OVER.includes(problem.code)) tokens.refused(problem.code, request.headers.get("authorization")?.slice("Bearer ".length));
      throw problem;
    },
    onError({ error }) {
      const reason = error instanceof Error ? error.message : String(error);
      return new Problem(0, "no-answer", "The platform does not answer.", reason);
    },
  });
  return client;
}

async function problemOf(response: Response): Promise<Problem> {
  const said: unknown = await response.json().catch(() => undefined);
  const text = (name: string) => {
    const value = typeof said === "object" && said !== null ? Reflect.get(said, name) : undefined;
    return typeof value === "string" ? value : undefined;
  };
  return new Problem(response.status, text("code") ?? "unknown", text("title") ?? `The platform answered ${response.status}.`, text("detail"));
}

/** The document of an answer; one that has none was refused, and thrown above. */
export function document<T>(answer: { data?: T }): T {
  if (answer.data === undefined) throw new Problem(0, "no-answer", "The platform's answer is empty.");
  return answer.data;
}
