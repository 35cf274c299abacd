// Who may call which endpoint, stated here by hand and not derived from the code that checks it. A new endpoint needs a
// line here before its tests pass (endpoints.test.mjs compares the names with tests/contract/endpoints.json).

/** What each kind of caller is answered, by kind of endpoint; `in` means that access was given. */
const KINDS = {
  anybody: { nobody: "in", expired: "in", owner: "in", stranger: "in", session: "in", adminSession: "in", admin: "in", run: "in", connect: "in", manage: "in", adminManage: "in", revoked: "in", operator: "in" },
  own: {
    nobody: "401 sign-in-required", expired: "401 token-expired", owner: "in", stranger: "in", session: "in", adminSession: "in", admin: "in",
    run: "401 token-refused", connect: "403 token-scope", manage: "in", adminManage: "in", revoked: "401 token-refused", operator: "401 token-refused",
  },
  ownByToken: {
    nobody: "401 sign-in-required", expired: "401 token-expired", owner: "in", stranger: "in", session: "401 bearer-required",
    adminSession: "401 bearer-required", admin: "in", run: "401 token-refused", connect: "403 token-scope", manage: "in", adminManage: "in", revoked: "401 token-refused", operator: "401 token-refused",
  },
  ownByButton: {
    nobody: "401 sign-in-required", expired: "401 token-expired", owner: "in", stranger: "in", session: "403 wrong-origin",
    adminSession: "403 wrong-origin", admin: "in", run: "401 token-refused", connect: "403 token-scope", manage: "in", adminManage: "in", revoked: "401 token-refused", operator: "401 token-refused",
  },
  ownInPerson: {
    nobody: "401 sign-in-required", expired: "401 token-expired", owner: "in", stranger: "in", session: "401 bearer-required",
    adminSession: "401 bearer-required", admin: "in", run: "401 token-refused",
    connect: "403 personal-token-refused", manage: "403 personal-token-refused", adminManage: "403 personal-token-refused",
    revoked: "401 token-refused", operator: "401 token-refused",
  },
  admin: {
    nobody: "401 sign-in-required", expired: "401 token-expired", owner: "403 not-an-admin", stranger: "403 not-an-admin",
    session: "401 bearer-required", adminSession: "401 bearer-required", admin: "in", run: "401 token-refused", connect: "403 personal-token-refused", manage: "403 personal-token-refused", adminManage: "403 personal-token-refused", revoked: "401 token-refused", operator: "401 token-refused",
  },
};

const HOST_BODY = { host: "claw.example.org" };
const USER = "{user}";
const SNAPSHOT = "aa".repeat(32);

/** `name: [kind, method, path, body, whether it leaves an event]`. */
const ENDPOINTS = {
  health: ["anybody", "GET", "/healthz"],
  "read-api-document": ["anybody", "GET", "/api/openapi.json"],
  "get-bot": ["own", "GET", "/api/bot"],
  "sleep-bot": ["ownByToken", "POST", "/api/bot/sleep", null, true],
  "stop-bot": ["ownByToken", "POST", "/api/bot/stop", null, true],
  "start-bot": ["ownByButton", "POST", "/api/bot/start", null, true],
  "pin-bot": ["ownByToken", "POST", "/api/bot/pin", null, true],
  "unpin-bot": ["ownByToken", "POST", "/api/bot/unpin", null, true],
  "restart-bot": ["ownByButton", "POST", "/api/bot/restart", null, true],
  "list-events": ["own", "GET", "/api/bot/events"],
  "read-log": ["own", "GET", "/api/bot/logs"],
  "list-snapshots": ["own", "GET", "/api/bot/snapshots"],
  "browse-snapshot": ["own", "GET", `/api/bot/snapshots/files?snapshot=${SNAPSHOT}`],
  "download-file": ["own", "GET", `/api/bot/snapshots/file?snapshot=${SNAPSHOT}&path=a`],
  "take-snapshot": ["ownByToken", "POST", "/api/bot/snapshots", null, true],
  "restore-snapshot": ["ownByToken", "POST", "/api/bot/snapshots/restore", null, true],
  "pin-snapshot": ["ownByToken", "POST", "/api/bot/snapshots/pin", { snapshot: SNAPSHOT }, true],
  "keep-home": ["ownByToken", "POST", "/api/bot/snapshots/keep", null, true],
  "unpin-snapshot": ["ownByToken", "POST", "/api/bot/snapshots/unpin", { snapshot: SNAPSHOT }, true],
  "list-domains": ["own", "GET", "/api/bot/domains"],
  "add-domain": ["ownByToken", "POST", "/api/bot/domains", HOST_BODY, true],
  "check-domain": ["ownByToken", "POST", "/api/bot/domains/check", HOST_BODY, true],
  "remove-domain": ["ownByToken", "DELETE", "/api/bot/domains", HOST_BODY, true],
  "list-personal-tokens": ["ownInPerson", "GET", "/api/bot/tokens"],
  "create-personal-token": ["ownInPerson", "POST", "/api/bot/tokens", { name: "phone", scope: "connect" }, true],
  "revoke-personal-token": ["ownInPerson", "DELETE", "/api/bot/tokens", { id: "0000000000000000" }, true],
  "admin-list-bots": ["admin", "GET", "/api/admin/bots", null, true],
  "admin-get-bot": ["admin", "GET", `/api/admin/bots/${USER}`, null, true],
  "admin-sleep-bot": ["admin", "POST", `/api/admin/bots/${USER}/sleep`, null, true],
  "admin-stop-bot": ["admin", "POST", `/api/admin/bots/${USER}/stop`, null, true],
  "admin-start-bot": ["admin", "POST", `/api/admin/bots/${USER}/start`, null, true],
  "admin-pin-bot": ["admin", "POST", `/api/admin/bots/${USER}/pin`, null, true],
  "admin-unpin-bot": ["admin", "POST", `/api/admin/bots/${USER}/unpin`, null, true],
  "admin-restart-bot": ["admin", "POST", `/api/admin/bots/${USER}/restart`, null, true],
  "admin-suspend-bot": ["admin", "POST", `/api/admin/bots/${USER}/suspend`, null, true],
  "admin-list-bot-events": ["admin", "GET", `/api/admin/bots/${USER}/events`, null, true],
  "admin-list-events": ["admin", "GET", "/api/admin/events", null, true],
  "admin-read-log": ["admin", "GET", `/api/admin/bots/${USER}/logs`, null, true],
  "admin-list-snapshots": ["admin", "GET", `/api/admin/bots/${USER}/snapshots`, null, true],
  "admin-browse-snapshot": ["admin", "GET", `/api/admin/bots/${USER}/snapshots/files?snapshot=${SNAPSHOT}`, null, true],
  "admin-download-file": ["admin", "GET", `/api/admin/bots/${USER}/snapshots/file?snapshot=${SNAPSHOT}&path=a`, null, true],
  "admin-take-snapshot": ["admin", "POST", `/api/admin/bots/${USER}/snapshots`, null, true],
  "admin-restore-snapshot": ["admin", "POST", `/api/admin/bots/${USER}/snapshots/restore`, null, true],
  "admin-pin-snapshot": ["admin", "POST", `/api/admin/bots/${USER}/snapshots/pin`, { snapshot: SNAPSHOT }, true],
  "admin-keep-home": ["admin", "POST", `/api/admin/bots/${USER}/snapshots/keep`, null, true],
  "admin-unpin-snapshot": ["admin", "POST", `/api/admin/bots/${USER}/snapshots/unpin`, { snapshot: SNAPSHOT }, true],
  "admin-list-users": ["admin", "GET", "/api/admin/users", null, true],
  "admin-get-user": ["admin", "GET", `/api/admin/users/${USER}`, null, true],
  "admin-suspend-user": ["admin", "POST", `/api/admin/users/${USER}/suspend`, null, true],
  "admin-delete-user": ["admin", "POST", `/api/admin/users/${USER}/delete`, null, true],
  "admin-activate-user": ["admin", "POST", `/api/admin/users/${USER}/activate`, null, true],
  "admin-list-domains": ["admin", "GET", `/api/admin/users/${USER}/domains`, null, true],
  "admin-verify-domain": ["admin", "POST", `/api/admin/users/${USER}/domains`, HOST_BODY, true],
  "admin-remove-domain": ["admin", "DELETE", `/api/admin/users/${USER}/domains`, HOST_BODY, true],
  "admin-list-invitations": ["admin", "GET", "/api/admin/invitations", null, true],
  "admin-invite": ["admin", "POST", "/api/admin/invitations", { entry: "carol@example.com" }, true],
  "admin-uninvite": ["admin", "DELETE", "/api/admin/invitations", { entry: "carol@example.com" }, true],
  "admin-list-allow-list": ["admin", "GET", "/api/admin/allow-list", null, true],
  "admin-allow": ["admin", "POST", "/api/admin/allow-list", { entry: "@example.com" }, true],
  "admin-disallow": ["admin", "DELETE", "/api/admin/allow-list", { entry: "@example.com" }, true],
};

/** Pages, traffic and machines, whose callers have tests of their own: sign-in, crossing, hand-over, repository. */
export const ELSEWHERE = [
  "show-login", "sign-in", "show-second-factor", "prove-second-factor", "begin-sign-in", "finish-sign-in", "sign-out", "show-sign-out", "issue-handoff-code", "redeem-handoff-code",
  "serve-repository", "serve-bot",
];

/** Every endpoint of the API with what each kind of caller is answered. */
export function matrix(user) {
  return Object.entries(ENDPOINTS).map(([name, [kind, method, path, body = null, leavesEvent = false]]) => ({
    name, kind, method, path: path.replace(USER, user), body, leavesEvent, expected: KINDS[kind],
  }));
}
