// Calls of the platform's API, typed by its document (`npm run types`), with what whoever is signed in proves it by.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];
export type AdminToken = Schemas["AdminToken"];
export type AlertRules = Schemas["AlertRules"];
export type BotCosts = Schemas["BotCosts"];
export type BotPoint = Schemas["BotPoint"];
export type BotState = Schemas["BotState"];
export type BotStatus = Schemas["BotStatus"];
export type BulkBot = Schemas["BulkBot"];
export type BulkFilter = Schemas["BulkFilter"];
export type BulkOrder = Schemas["BulkOrder"];
export type BulkOutcome = Schemas["BulkOutcome"];
export type BulkReceipt = Schemas["BulkReceipt"];
export type BulkVerb = Schemas["BulkVerb"];
export type ComponentHealth = Schemas["ComponentHealth"];
export type Costs = Schemas["Costs"];
export type Domain = Schemas["Domain"];
export type Event = Schemas["Event"];
export type FleetPoint = Schemas["FleetPoint"];
export type Health = Schemas["Health"];
export type Incident = Schemas["ListedIncident"];
export type IncidentKind = Schemas["IncidentKind"];
export type ListedBot = Schemas["ListedBot"];
export type ListedCosts = Schemas["ListedCosts"];
export type ListedRule = Schemas["ListedRule"];
export type ListedSink = Schemas["ListedSink"];
export type Mute = Schemas["Mute"];
export type OwnerSinkStatus = Schemas["OwnerSinkStatus"];
export type Rule = Schemas["Rule"];
export type SignInSettings = Schemas["SignInSettings"];
export type SinkKind = Schemas["SinkKind"];
export type Snapshot = Schemas["ShownSnapshot"];
export type SnapshotEntry = Schemas["SnapshotEntry"];
export type User = Schemas["User"];

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

/** By what a page shows who calls. */
export interface Proof {
  /** Whether the browser's session goes along. */
  credentials: "omit" | "same-origin";
  /** The header that goes along, if there is one. */
  header(): Promise<[name: string, value: string] | undefined>;
  /** What the platform says when that is over, or is not enough, to which request. */
  refused(code: string, request: Request): void;
}

type Fetch = (request: Request) => Promise<Response>;

export type Api = ReturnType<typeof calls>;

/** Codes by which the platform says that a token is no longer worth anything. */
const OVER = ["token-expired", "token-refused", "sign-in-required", "second-factor-required", "account-suspended", "account-deleted", "not-an-admin"];

/** An admin's: no cookie ever goes along, what they may do follows from the token alone. */
export function api(tokens: Tokens, fetch?: Fetch) {
  return calls(
    {
      credentials: "omit",
      async header() {
        const token = await tokens.token();
        return token === undefined ? undefined : ["authorization", `Bearer ${token}`];
      },
      refused(code, request) {
        if (OVER.includes(code)) tokens.refused(code, request.headers.get("authorization")?.slice("Bearer ".length));
      },
    },
    fetch,
  );
}

export function calls(proof: Proof, fetch: Fetch = (request) => globalThis.fetch(request)) {
  const client = createClient<paths>({ baseUrl: location.origin, credentials: proof.credentials, cache: "no-store", fetch });
  client.use({
    async onRequest({ request }) {
      const header = await proof.header();
      if (header !== undefined) request.headers.set(...header);
      return request;
    },
    async onResponse({ request, response }) {
      if (response.ok) return;
      const problem = await problemOf(response);
      proof.refused(problem.code, request);
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
