//! What each refusal is in an answer.

use super::Refusal;

impl Refusal {
    /// Status, code and title.
    pub fn facts(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::NotConfigured => (503, "not-configured", "This Moltworker is not configured yet."),
            Self::UnknownHost => (404, "unknown-host", "No bot lives at this address."),
            Self::NotFound => (404, "not-found", "There is nothing at this address."),
            Self::WrongMethod => (405, "wrong-method", "This address does not take that method."),
            Self::SignInRequired => (401, "sign-in-required", "Sign in to reach your bot."),
            Self::TokenExpired => (
                401,
                "token-expired",
                "The access token has expired; get a new one.",
            ),
            Self::TokenRefused => (401, "token-refused", "The access token is not accepted."),
            Self::IdentityProviderUnavailable => (
                503,
                "identity-provider-unavailable",
                "Sign-in cannot be checked right now; try again.",
            ),
            Self::WrongOrigin => (
                403,
                "wrong-origin",
                "This request came from a page of another site.",
            ),
            Self::ServiceWorker => (
                403,
                "service-worker-refused",
                "A bot cannot install a service worker here.",
            ),
            Self::BadForm => (
                400,
                "bad-form",
                "The form could not be read; reload the page and try again.",
            ),
            Self::SignInNotStarted => (
                400,
                "sign-in-not-started",
                "This sign-in was not started in this browser, or took too long; start again.",
            ),
            Self::BearerRequired => (
                401,
                "bearer-required",
                "This address takes an access token in the Authorization header.",
            ),
            Self::CsrfTokenRefused => (
                403,
                "csrf-token-refused",
                "This page is no longer that of your session; reload it.",
            ),
            Self::NotAnAdmin => (403, "not-an-admin", "This is for administrators."),
            Self::TokenScope => (
                403,
                "token-scope",
                "This personal access token opens the bot and nothing else; make one with the scope manage.",
            ),
            Self::PersonalTokenRefused => (
                403,
                "personal-token-refused",
                "No personal access token is good for this; send the access token of a sign-in.",
            ),
            Self::TooManyPersonalTokens => (
                409,
                "too-many-personal-tokens",
                "You have as many personal access tokens as one may have; revoke one first.",
            ),
            Self::SecondFactorRequired => (
                401,
                "second-factor-required",
                "This takes a second factor: sign in with a code of your authenticator app, and use the access token of that (aal2).",
            ),
            Self::NotInvited => (
                403,
                "not-invited",
                "This account has not been invited; ask your administrator.",
            ),
            Self::AccountSuspended => (
                403,
                "account-suspended",
                "This account is suspended; ask your administrator.",
            ),
            Self::AccountDeleted => (403, "account-deleted", "This account no longer exists."),
            Self::DirectoryUnavailable => (
                503,
                "directory-unavailable",
                "The records of users and bots cannot be read right now; try again.",
            ),
            Self::NotYourBot => (403, "not-your-bot", "This is somebody else's bot."),
            Self::OwnAddress => (
                403,
                "own-address",
                "Your bot has an address of its own; use it there.",
            ),
            Self::HandoffRefused => (
                403,
                "hand-over-refused",
                "The sign-in for this address is no longer valid; start again.",
            ),
            Self::SessionNotEnded => (
                503,
                "session-not-ended",
                "You are signed out in this browser, but your session could not be ended elsewhere: sign in and out again.",
            ),
            Self::TooMany => (429, "too-many-requests", "Too many requests; wait a moment."),
            Self::TooLarge => (413, "too-large", "The request is larger than this address takes."),
            Self::BadRequest => (400, "bad-request", "The request is not what this address takes."),
            Self::NoSuchEntry => (404, "no-such-entry", "Nothing is recorded under that name."),
            Self::DomainTaken => (409, "domain-taken", "This domain belongs to another bot."),
            Self::TooManyDomains => (
                409,
                "too-many-domains",
                "The bot has as many domains as it may have; remove one first.",
            ),
            Self::DnsUnavailable => (
                503,
                "dns-unavailable",
                "The domain cannot be looked up right now; try again.",
            ),
            Self::BotStopped => (
                409,
                "bot-stopped",
                "This bot is stopped; start it to use it again.",
            ),
            Self::BotSuspended => (
                403,
                "bot-suspended",
                "This bot is suspended; ask your administrator.",
            ),
            Self::SpendLimitReached => (
                402,
                "spend-limit-reached",
                "This bot has cost what it may in a month, and sleeps.",
            ),
            Self::NoCapacity => (
                503,
                "no-capacity",
                "All places are taken right now; one is being freed.",
            ),
            Self::BotWaking => (503, "bot-waking", "The bot is waking up; try again in a moment."),
            Self::BotStopping => (
                503,
                "bot-stopping",
                "The bot is going to sleep; try again in a moment.",
            ),
            Self::BotFailed => (
                503,
                "bot-failed",
                "The bot could not be started; it will be tried again.",
            ),
            Self::BotCrashLooped => (
                503,
                "bot-crash-looped",
                "The bot fails again and again; it waits for its cause to be mended.",
            ),
            Self::BotInterrupted => (
                503,
                "bot-interrupted",
                "The bot stopped while answering; try again.",
            ),
            Self::BadAnswer => (
                502,
                "bad-answer",
                "The bot answered with something that cannot be passed on.",
            ),
            Self::BotSilent => (504, "bot-silent", "The bot did not begin to answer in time."),
            Self::IngressSecretRequired => (
                401,
                "ingress-secret-required",
                "This port answers only the Sandbox of its run.",
            ),
            Self::RepositoryTokenRequired => (
                401,
                "repository-token-required",
                "A repository opens with its token, as bearer token or as the password of HTTP Basic.",
            ),
            Self::RepositoryTokenExpired => (
                401,
                "repository-token-expired",
                "The repository token has expired.",
            ),
            Self::RepositoryTokenRefused => (
                401,
                "repository-token-refused",
                "The repository token is not accepted.",
            ),
            Self::ForeignRepository => (
                403,
                "foreign-repository",
                "The token opens another bot's repository.",
            ),
            Self::RunOver => (409, "run-over", "The run this token was made for is over."),
            Self::BadObjectName => (
                404,
                "bad-object-name",
                "A repository has a config, and keys, locks, snapshots, index and data named by 64 lower-case hex digits.",
            ),
            Self::NoSuchObject => (404, "no-such-object", "The repository has no such object."),
            Self::DeletionRefused => (
                403,
                "deletion-refused",
                "This token may read and add; only maintenance deletes, and nobody the config.",
            ),
            Self::ObjectExists => (
                403,
                "object-exists",
                "The object is there already, and objects never change.",
            ),
            Self::WrongHash => (
                400,
                "wrong-hash",
                "What arrived does not have the SHA-256 that names it; nothing was stored.",
            ),
            Self::LengthRequired => (411, "length-required", "An upload has to say its Content-Length."),
            Self::ObjectTooLarge => (
                413,
                "object-too-large",
                "The upload is larger than an object of that kind may be.",
            ),
            Self::BadRange => (416, "bad-range", "It has no such bytes."),
            Self::StorageUnavailable => (
                503,
                "storage-unavailable",
                "The storage of backups did not answer as it should; try again.",
            ),
            Self::NoRepository => (
                409,
                "no-repository",
                "This bot has no backups: the platform is not set up for them.",
            ),
            Self::NotRestored => (
                503,
                "not-restored",
                "The bot's home is being restored; nothing is saved before that is done.",
            ),
            Self::NoSuchSnapshot => (
                404,
                "no-such-snapshot",
                "This bot has no such snapshot; list them to see which there are.",
            ),
            Self::NoSuchPath => (404, "no-such-path", "The snapshot has nothing of that name."),
            Self::BadPath => (
                400,
                "bad-path",
                "A path in a snapshot counts from the home on and stays within it.",
            ),
            Self::NotAFile => (
                400,
                "not-a-file",
                "That is no file; only files can be downloaded.",
            ),
            Self::NotADirectory => (
                400,
                "not-a-directory",
                "That is no directory; only directories can be listed.",
            ),
            Self::NothingPassedOver => (
                409,
                "nothing-passed-over",
                "No start passed a snapshot over that somebody still has to decide about.",
            ),
            Self::BotAsleep => (
                409,
                "bot-asleep",
                "The bot is asleep, and only its container can do that; open the bot first.",
            ),
            Self::UnsavedChanges => (
                409,
                "unsaved-changes",
                "What has changed cannot be saved right now and would be lost; wait, or send force.",
            ),
            Self::ConfigUnreadable => (
                409,
                "config-unreadable",
                "The bot's config cannot be read as it is; roll it back, or mend the file.",
            ),
            Self::ConfigChanged => (
                409,
                "config-changed",
                "The config is another one by now; read it again.",
            ),
            Self::ConfigRefused => (
                422,
                "config-refused",
                "The bot's gateway does not take this config; nothing was changed.",
            ),
            Self::PlatformSetting => (
                422,
                "platform-setting",
                "This setting is the platform's and stays what it is; nothing was changed.",
            ),
            Self::GatewayUnavailable => (
                503,
                "gateway-unavailable",
                "The bot's gateway does not answer right now; try again.",
            ),
            Self::PlatformUnhealthy => (
                503,
                "platform-unhealthy",
                "Something of the platform is not as it should be.",
            ),
            Self::Internal => (500, "internal", "Something went wrong on our side."),
        }
    }
}
