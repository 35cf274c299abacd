// Who may call which endpoint, stated here by hand and not derived from the code that checks it. A new endpoint needs a
// line here before its tests pass (endpoints.test.mjs compares the names with tests/contract/endpoints.json).
import { PAGE } from "./browser.mjs";
import { ALICE, ORIGIN } from "./harness.mjs";

/**
 * Every kind of caller; endpoints.test.mjs makes what each sends. The sessions are browsers' cookies; the pages send one as well,
 * with the CSRF token of it, with that of another session, and with its own from another origin.
 */
const CALLERS = [
  "nobody", "expired", "owner", "stranger", "admin", "session", "page", "otherPage", "foreignPage", "hostSession", "adminSession", "connect", "manage", "adminManage",
  "revoked", "run", "maintain", "operator", "monitor",
];
const everybody = (answer) => Object.fromEntries(CALLERS.map((caller) => [caller, answer]));
const IN = everybody("in");
/** What opens repositories opens nothing else. */
const MACHINES = { run: "401 token-refused", maintain: "401 token-refused", operator: "401 token-refused", monitor: "401 token-refused" };
/** Who is nobody on the platform's host; a session of a bot's own host is none there. */
const NOBODY = { nobody: "401 sign-in-required", expired: "401 token-expired", revoked: "401 token-refused", hostSession: "401 sign-in-required", ...MACHINES };
/** Who is nobody on the host of Alice's bot, or somebody else. */
const ELSEWHERE = {
  ...NOBODY, session: "401 sign-in-required", page: "401 sign-in-required", otherPage: "401 sign-in-required", foreignPage: "401 sign-in-required", adminSession: "401 sign-in-required", hostSession: "in",
  stranger: "403 not-your-bot", admin: "403 not-your-bot", adminManage: "403 not-your-bot",
};
const NO_SESSIONS = { session: "401 bearer-required", adminSession: "401 bearer-required" };
/** Of the owner's pages only the one whose proof holds changes something. */
const PAGES = { otherPage: "403 csrf-token-refused", foreignPage: "403 wrong-origin" };
const NO_PAGES = { page: "401 bearer-required", otherPage: "401 bearer-required", foreignPage: "401 bearer-required" };
const NO_PERSONAL = { connect: "403 personal-token-refused", manage: "403 personal-token-refused", adminManage: "403 personal-token-refused" };
const CONNECTS_ONLY = { connect: "403 token-scope" };
const REFUSED_REPOSITORY = "401 repository-token-refused";
const NO_REPOSITORY = "401 repository-token-required";
const REPOSITORY = {
  ...everybody(REFUSED_REPOSITORY), nobody: NO_REPOSITORY, session: NO_REPOSITORY, page: NO_REPOSITORY, otherPage: NO_REPOSITORY, foreignPage: NO_REPOSITORY, hostSession: NO_REPOSITORY, adminSession: NO_REPOSITORY,
  run: "in", maintain: "in", operator: "in",
};

/** What each kind of caller is answered, by kind of endpoint; `in` means that access was given. */
const KINDS = {
  anybody: IN,
  form: { ...IN, foreignPage: "403 wrong-origin" },
  ownScript: { ...IN, foreignPage: "403 wrong-origin" },
  own: { ...IN, ...NOBODY, ...CONNECTS_ONLY },
  own: { ...IN, ...NOBODY, ...CONNECTS_ONLY, ...PAGES },
  ownByToken: { ...IN, ...NOBODY, ...CONNECTS_ONLY, ...NO_SESSIONS, ...PAGES },
  ownByButton: { ...IN, ...NOBODY, ...CONNECTS_ONLY, ...PAGES, session: "403 wrong-origin", adminSession: "403 wrong-origin" },
  ownInPerson: { ...IN, ...NOBODY, ...NO_SESSIONS, ...NO_PERSONAL, ...PAGES },
  admin: { ...IN, ...NOBODY, ...NO_SESSIONS, ...NO_PAGES, ...NO_PERSONAL, owner: "403 not-an-admin", stranger: "403 not-an-admin" },
  monitored: {
    ...IN, ...NOBODY, ...NO_SESSIONS, ...NO_PAGES, ...NO_PERSONAL, owner: "403 not-an-admin", stranger: "403 not-an-admin", monitor: "in",
  },
  // With `BOT_DOMAIN` no script of a browser reaches a bot here, whatever session it comes with.
  bot: {
    ...IN, ...NOBODY, session: "403 own-address", page: "403 own-address", otherPage: "403 own-address", foreignPage: "403 own-address",
    adminSession: "403 own-address",
  },
  // Programs that are let in are told that there is nothing for them.
  ownPage: { ...everybody("404 not-found"), ...NOBODY, ...CONNECTS_ONLY, ...PAGES },
  // On the host of Alice's bot.
  formThere: { ...IN, page: "403 wrong-origin", otherPage: "403 wrong-origin", foreignPage: "403 wrong-origin" },
  ownThere: { ...IN, ...ELSEWHERE, ...CONNECTS_ONLY },
  buttonThere: { ...IN, ...ELSEWHERE, ...CONNECTS_ONLY, hostSession: "403 wrong-origin" },
  botThere: { ...IN, ...ELSEWHERE },
  // A browser's way there. The admin's session is one that no Sandbox keeps.
  handoff: { ...everybody("403 hand-over-refused"), ...NOBODY, session: "in", page: "in", otherPage: "in", foreignPage: "in", adminSession: "to sign in" },
  handoffThere: everybody("403 hand-over-refused"),
  // The repository of Alice's bot, and of another one.
  repository: REPOSITORY,
  foreignRepository: { ...REPOSITORY, run: "403 foreign-repository", maintain: "403 foreign-repository" },
  repositoryToClear: { ...REPOSITORY, run: "403 deletion-refused", operator: "403 deletion-refused" },
};

/** A host of Alice's bot. */
export const BOT_HOST = "paw.example.org";
const HOST_BODY = { host: "claw.example.org" };
const USER = "{user}";
const SNAPSHOT = "aa".repeat(32);
const CHALLENGE = Buffer.alloc(32, 1).toString("base64url");
/** As a form of our own page is sent; the bodies of forms are text. */
const FORM = { headers: { "content-type": "application/x-www-form-urlencoded", origin: ORIGIN } };
/** A script of a page of the platform's. */
const OWN_SCRIPT = { headers: { origin: ORIGIN, "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty" } };
const THERE = { host: BOT_HOST };
const FORM_THERE = { ...THERE, headers: { ...FORM.headers, origin: `https://${BOT_HOST}` } };

/**
 * `[name, kind, method, path, body, event, more]`. The event is what a call leaves that is let in: `true` one with its outcome,
 * a text a refused one of that actor, of the operator whichever it comes to. `more` is the host and what is sent beside.
 */
const ENDPOINTS = [
  ["health", "anybody", "GET", "/healthz"],
  ["read-api-document", "anybody", "GET", "/api/openapi.json"],
  ["read-sign-in-settings", "anybody", "GET", "/api/sign-in"],
  ["read-own-session", "own", "GET", "/api/bot/session"],
  // Both take a cookie of their own, which no caller here has; tests/worker/admin-session.test.mjs has one.
  ["resume-admin-session", "ownScript", "POST", "/api/sign-in/session", null, undefined, OWN_SCRIPT],
  ["end-admin-session", "ownScript", "DELETE", "/api/sign-in/session", null, undefined, OWN_SCRIPT],
  ["begin-admin-session", "admin", "POST", "/api/admin/session", { refresh_token: "r" }, true],
  ["get-bot", "own", "GET", "/api/bot"],
  ["sleep-bot", "ownByToken", "POST", "/api/bot/sleep", null, true],
  ["stop-bot", "ownByToken", "POST", "/api/bot/stop", null, true],
  ["start-bot", "ownByButton", "POST", "/api/bot/start", null, true],
  ["pin-bot", "ownByToken", "POST", "/api/bot/pin", null, true],
  ["unpin-bot", "ownByToken", "POST", "/api/bot/unpin", null, true],
  ["restart-bot", "ownByButton", "POST", "/api/bot/restart", null, true],
  ["read-series", "own", "GET", "/api/bot/series"],
  ["list-events", "own", "GET", "/api/bot/events"],
  ["read-log", "own", "GET", "/api/bot/logs"],
  ["follow-log", "own", "GET", "/api/bot/logs/follow"],
  ["list-processes", "own", "GET", "/api/bot/processes"],
  ["read-config", "own", "GET", "/api/bot/config"],
  ["patch-config", "ownInPerson", "POST", "/api/bot/config", { patch: { mine: 1 } }, true],
  ["list-config-changes", "own", "GET", "/api/bot/config/changes"],
  ["roll-back-config", "ownInPerson", "POST", "/api/bot/config/roll-back", { id: 1 }, true],
  ["list-channels", "own", "GET", "/api/bot/channels"],
  ["set-channel", "ownInPerson", "PUT", "/api/bot/channels", { kind: "telegram", token: "1:a" }, true],
  ["remove-channel", "ownInPerson", "DELETE", "/api/bot/channels", { kind: "telegram" }, true],
  ["list-devices", "own", "GET", "/api/bot/devices"],
  ["approve-device", "ownInPerson", "POST", "/api/bot/devices/approve", { id: "r-1" }, true],
  ["reject-device", "ownByToken", "POST", "/api/bot/devices/reject", { id: "r-1" }, true],
  ["revoke-device", "ownByToken", "POST", "/api/bot/devices/revoke", { id: "d-1" }, true],
  ["list-snapshots", "own", "GET", "/api/bot/snapshots"],
  ["browse-snapshot", "own", "GET", `/api/bot/snapshots/files?snapshot=${SNAPSHOT}`],
  ["download-file", "own", "GET", `/api/bot/snapshots/file?snapshot=${SNAPSHOT}&path=a`],
  ["download-directory", "own", "GET", `/api/bot/snapshots/archive?snapshot=${SNAPSHOT}`],
  ["take-snapshot", "ownByToken", "POST", "/api/bot/snapshots", null, true],
  ["restore-snapshot", "ownByToken", "POST", "/api/bot/snapshots/restore", null, true],
  ["pin-snapshot", "ownByToken", "POST", "/api/bot/snapshots/pin", { snapshot: SNAPSHOT }, true],
  ["keep-home", "ownByButton", "POST", "/api/bot/snapshots/keep", null, true],
  ["put-back-home", "ownByButton", "POST", "/api/bot/snapshots/put-back", null, true],
  ["show-choice", "own", "GET", "/api/bot/snapshots/choice"],
  ["unpin-snapshot", "ownByToken", "POST", "/api/bot/snapshots/unpin", { snapshot: SNAPSHOT }, true],
  ["list-domains", "own", "GET", "/api/bot/domains"],
  ["add-domain", "ownByToken", "POST", "/api/bot/domains", HOST_BODY, true],
  ["check-domain", "ownByToken", "POST", "/api/bot/domains/check", HOST_BODY, true],
  ["remove-domain", "ownByToken", "DELETE", "/api/bot/domains", HOST_BODY, true],
  ["get-alert-sink", "ownInPerson", "GET", "/api/bot/alerts/sink"],
  ["set-alert-sink", "ownInPerson", "PUT", "/api/bot/alerts/sink", { kind: "slack", url: "https://hooks.example.com/x" }, true],
  ["test-alert-sink", "ownInPerson", "POST", "/api/bot/alerts/sink/test", null, true],
  ["remove-alert-sink", "ownInPerson", "DELETE", "/api/bot/alerts/sink", null, true],
  ["list-personal-tokens", "ownInPerson", "GET", "/api/bot/tokens"],
  ["create-personal-token", "ownInPerson", "POST", "/api/bot/tokens", { name: "phone", scope: "connect" }, true],
  ["revoke-personal-token", "ownInPerson", "DELETE", "/api/bot/tokens", { id: "0000000000000000" }, true],
  ["admin-read-health", "monitored", "GET", "/api/admin/health", null, "refused"],
  ["admin-read-metrics", "monitored", "GET", "/api/admin/metrics", null, "refused"],
  ["admin-list-bots", "admin", "GET", "/api/admin/bots", null, true],
  ["admin-get-bot", "admin", "GET", `/api/admin/bots/${USER}`, null, true],
  ["admin-read-series", "admin", "GET", `/api/admin/bots/${USER}/series`, null, true],
  ["admin-read-fleet-series", "monitored", "GET", "/api/admin/fleet/series", null, "refused"],
  ["admin-sleep-bot", "admin", "POST", `/api/admin/bots/${USER}/sleep`, null, true],
  ["admin-stop-bot", "admin", "POST", `/api/admin/bots/${USER}/stop`, null, true],
  ["admin-start-bot", "admin", "POST", `/api/admin/bots/${USER}/start`, null, true],
  ["admin-pin-bot", "admin", "POST", `/api/admin/bots/${USER}/pin`, null, true],
  ["admin-unpin-bot", "admin", "POST", `/api/admin/bots/${USER}/unpin`, null, true],
  ["admin-restart-bot", "admin", "POST", `/api/admin/bots/${USER}/restart`, null, true],
  ["admin-suspend-bot", "admin", "POST", `/api/admin/bots/${USER}/suspend`, null, true],
  ["admin-list-bot-events", "admin", "GET", `/api/admin/bots/${USER}/events`, null, true],
  ["admin-list-events", "admin", "GET", "/api/admin/events", null, true],
  ["admin-read-log", "admin", "GET", `/api/admin/bots/${USER}/logs`, null, true],
  ["admin-follow-log", "admin", "GET", `/api/admin/bots/${USER}/logs/follow`, null, true],
  ["admin-list-processes", "admin", "GET", `/api/admin/bots/${USER}/processes`, null, true],
  ["admin-read-config", "admin", "GET", `/api/admin/bots/${USER}/config`, null, true],
  ["admin-patch-config", "admin", "POST", `/api/admin/bots/${USER}/config`, { patch: { mine: 1 } }, true],
  ["admin-list-config-changes", "admin", "GET", `/api/admin/bots/${USER}/config/changes`, null, true],
  ["admin-roll-back-config", "admin", "POST", `/api/admin/bots/${USER}/config/roll-back`, { id: 1 }, true],
  ["admin-list-channels", "admin", "GET", `/api/admin/bots/${USER}/channels`, null, true],
  ["admin-set-channel", "admin", "PUT", `/api/admin/bots/${USER}/channels`, { kind: "telegram", token: "1:a" }, true],
  ["admin-remove-channel", "admin", "DELETE", `/api/admin/bots/${USER}/channels`, { kind: "telegram" }, true],
  ["admin-list-devices", "admin", "GET", `/api/admin/bots/${USER}/devices`, null, true],
  ["admin-approve-device", "admin", "POST", `/api/admin/bots/${USER}/devices/approve`, { id: "r-1" }, true],
  ["admin-reject-device", "admin", "POST", `/api/admin/bots/${USER}/devices/reject`, { id: "r-1" }, true],
  ["admin-revoke-device", "admin", "POST", `/api/admin/bots/${USER}/devices/revoke`, { id: "d-1" }, true],
  ["admin-list-snapshots", "admin", "GET", `/api/admin/bots/${USER}/snapshots`, null, true],
  ["admin-browse-snapshot", "admin", "GET", `/api/admin/bots/${USER}/snapshots/files?snapshot=${SNAPSHOT}`, null, true],
  ["admin-download-file", "admin", "GET", `/api/admin/bots/${USER}/snapshots/file?snapshot=${SNAPSHOT}&path=a`, null, true],
  ["admin-download-directory", "admin", "GET", `/api/admin/bots/${USER}/snapshots/archive?snapshot=${SNAPSHOT}`, null, true],
  ["admin-take-snapshot", "admin", "POST", `/api/admin/bots/${USER}/snapshots`, null, true],
  ["admin-restore-snapshot", "admin", "POST", `/api/admin/bots/${USER}/snapshots/restore`, null, true],
  ["admin-pin-snapshot", "admin", "POST", `/api/admin/bots/${USER}/snapshots/pin`, { snapshot: SNAPSHOT }, true],
  ["admin-keep-home", "admin", "POST", `/api/admin/bots/${USER}/snapshots/keep`, null, true],
  ["admin-unpin-snapshot", "admin", "POST", `/api/admin/bots/${USER}/snapshots/unpin`, { snapshot: SNAPSHOT }, true],
  ["admin-list-users", "admin", "GET", "/api/admin/users", null, true],
  ["admin-get-user", "admin", "GET", `/api/admin/users/${USER}`, null, true],
  ["admin-suspend-user", "admin", "POST", `/api/admin/users/${USER}/suspend`, null, true],
  ["admin-delete-user", "admin", "POST", `/api/admin/users/${USER}/delete`, null, true],
  ["admin-activate-user", "admin", "POST", `/api/admin/users/${USER}/activate`, null, true],
  ["admin-list-domains", "admin", "GET", `/api/admin/users/${USER}/domains`, null, true],
  ["admin-verify-domain", "admin", "POST", `/api/admin/users/${USER}/domains`, HOST_BODY, true],
  ["admin-remove-domain", "admin", "DELETE", `/api/admin/users/${USER}/domains`, HOST_BODY, true],
  ["admin-list-invitations", "admin", "GET", "/api/admin/invitations", null, true],
  ["admin-invite", "admin", "POST", "/api/admin/invitations", { entry: "carol@example.com" }, true],
  ["admin-uninvite", "admin", "DELETE", "/api/admin/invitations", { entry: "carol@example.com" }, true],
  ["admin-list-allow-list", "admin", "GET", "/api/admin/allow-list", null, true],
  ["admin-allow", "admin", "POST", "/api/admin/allow-list", { entry: "@example.com" }, true],
  ["admin-disallow", "admin", "DELETE", "/api/admin/allow-list", { entry: "@example.com" }, true],
  ["admin-list-incidents", "admin", "GET", "/api/admin/incidents", null, true],
  ["admin-acknowledge-incident", "admin", "POST", "/api/admin/incidents/acknowledge", { id: "0000000000000000" }, true],
  ["admin-list-alert-sinks", "admin", "GET", "/api/admin/alerts/sinks", null, true],
  ["admin-set-alert-sink", "admin", "POST", "/api/admin/alerts/sinks", { name: "ops", kind: "slack", url: "https://hooks.example.com/x" }, true],
  ["admin-remove-alert-sink", "admin", "DELETE", "/api/admin/alerts/sinks", { name: "none" }, true],
  ["admin-test-alert-sink", "admin", "POST", "/api/admin/alerts/sinks/test", { name: "none" }, true],
  ["admin-list-mutes", "admin", "GET", "/api/admin/alerts/mutes", null, true],
  ["admin-mute", "admin", "POST", "/api/admin/alerts/mutes", { rule: "crash-loop", until: Date.now() + 60_000 }, true],
  ["admin-unmute", "admin", "DELETE", "/api/admin/alerts/mutes", { rule: "crash-loop" }, true],
  ["admin-get-alert-settings", "admin", "GET", "/api/admin/alerts/settings", null, true],
  ["admin-order-bots", "admin", "POST", "/api/admin/bulk", { verb: "snapshot", filter: {}, dryRun: true }, true],
  ["admin-list-bulk-orders", "admin", "GET", "/api/admin/bulk", null, true],
  ["admin-get-bulk-order", "admin", "GET", "/api/admin/bulk/1", null, true],
  ["admin-stop-bulk-order", "admin", "POST", "/api/admin/bulk/1/stop", null, true],
  ["get-costs", "own", "GET", "/api/bot/costs"],
  ["admin-list-costs", "admin", "GET", "/api/admin/costs", null, true],
  ["admin-get-costs", "admin", "GET", `/api/admin/bots/${USER}/costs`, null, true],
  ["admin-set-limit", "admin", "PUT", `/api/admin/bots/${USER}/limit`, { limit_microdollars: 25_000_000 }, true],
  ["admin-clear-limit", "admin", "DELETE", `/api/admin/bots/${USER}/limit`, null, true],
  ["admin-set-alert-settings", "admin", "POST", "/api/admin/alerts/settings", { rules: [] }, true],
  // Pages and traffic. That a code, a form or a state is none is said after access was given.
  ["enter-admin-ui", "anybody", "GET", "/admin"],
  ["serve-admin-ui", "anybody", "GET", "/admin/bots", null, false, PAGE],
  ["show-own-page", "ownPage", "GET", "/bot"],
  ["show-part-of-own-page", "ownPage", "GET", "/bot/snapshots"],
  ["show-login", "anybody", "GET", "/login"],
  ["sign-in", "form", "POST", "/login", "email=nobody%40example.com&password=wrong", "anonymous", FORM],
  ["show-second-factor", "anybody", "GET", "/login/second-factor"],
  ["prove-second-factor", "form", "POST", "/login/second-factor", "code=123456", "anonymous", FORM],
  ["begin-sign-in", "anybody", "GET", "/auth/sign-in/github"],
  ["finish-sign-in", "anybody", "GET", "/auth/callback?code=x&state=y", null, "anonymous"],
  ["issue-handoff-code", "handoff", "GET", `/auth/hand-over?host=${BOT_HOST}&challenge=${CHALLENGE}`, null, "owner"],
  ["redeem-handoff-code", "handoffThere", "GET", `/auth/hand-over?code=${CHALLENGE}`, null, "anonymous", THERE],
  ["show-sign-out", "anybody", "GET", "/auth/sign-out", null, false, THERE],
  ["serve-bot", "bot", "GET", "/"],
  ["serve-bot", "botThere", "GET", "/", null, false, THERE],
  ["get-bot", "ownThere", "GET", "/api/bot", null, false, THERE],
  ["start-bot", "buttonThere", "POST", "/api/bot/start", null, "stranger", THERE],
  ["restart-bot", "buttonThere", "POST", "/api/bot/restart", null, "stranger", THERE],
  ["keep-home", "buttonThere", "POST", "/api/bot/snapshots/keep", null, "stranger", THERE],
  ["put-back-home", "buttonThere", "POST", "/api/bot/snapshots/put-back", null, "stranger", THERE],
  ["show-choice", "ownThere", "GET", "/api/bot/snapshots/choice", null, false, THERE],
  // Machines. What a run does in its repository is in the history of its bot, what an operator does there is an event.
  ["serve-repository", "repository", "GET", `/_repo/${ALICE}/snapshots/`, null, "operator"],
  ["serve-repository", "repositoryToClear", "DELETE", `/_repo/${ALICE}/data/${SNAPSHOT}`, null, "operator"],
  ["serve-repository", "foreignRepository", "GET", `/_repo/${USER}/snapshots/`, null, "operator"],
  // Last, because it ends the sessions. Who has none leaves no event.
  ["sign-out", "form", "POST", "/auth/sign-out", "", false, FORM],
  ["sign-out", "formThere", "POST", "/auth/sign-out", "", false, FORM_THERE],
];

/** Every endpoint with what each kind of caller is answered. */
export function matrix(user) {
  return ENDPOINTS.map(([name, kind, method, path, body = null, event = false, more = {}]) => ({
    name, kind, method, path: path.replace(USER, user), body, event, host: more.host, headers: more.headers, expected: KINDS[kind],
  }));
}
