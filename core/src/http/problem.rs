//! What a caller sees when something is refused: RFC 9457 `application/problem+json` with a stable `code`.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod fault;
mod headers;

pub use fault::Fault;

/// Seconds over which requests are counted: `period` of the limits in `wrangler.toml`, which takes 10 or 60.
pub const RATE_PERIOD_SECONDS: u32 = 60;

/// Every refusal a caller can meet. What is logged about it is separate, and may say more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Settings are missing or malformed.
    NotConfigured,
    /// No such host here.
    UnknownHost,
    /// No such path under a reserved prefix.
    NotFound,
    /// The path exists with other methods.
    WrongMethod,
    /// No credentials.
    SignInRequired,
    /// Credentials that have expired.
    TokenExpired,
    /// Credentials that do not count.
    TokenRefused,
    /// The identity provider could not be asked for its keys.
    IdentityProviderUnavailable,
    /// A page of another origin tried to act for the caller.
    WrongOrigin,
    /// A bot's page tried to install a service worker on the platform's host.
    ServiceWorker,
    /// A form that is not what the page sends.
    BadForm,
    /// A sign-in that another browser began, or that took too long.
    SignInNotStarted,
    /// This route takes a bearer token only, never a cookie.
    BearerRequired,
    /// This route is for admins.
    NotAnAdmin,
    /// A personal access token is not good for this.
    TokenScope,
    /// What only the person themselves may do, or an admin, was asked with a personal access token.
    PersonalTokenRefused,
    /// The person has as many personal access tokens as one may.
    TooManyPersonalTokens,
    /// The caller proved one factor, and two are asked for.
    SecondFactorRequired,
    /// The person may not become a user here.
    NotInvited,
    /// An admin suspended the person.
    AccountSuspended,
    /// The person's account was deleted.
    AccountDeleted,
    /// Users, domains or the history could not be looked up.
    DirectoryUnavailable,
    /// Somebody else's bot.
    NotYourBot,
    /// The bot is reached under a name of its own, not here.
    OwnAddress,
    /// A hand-over code that was used, is too old, or is not this browser's or this host's.
    HandOverRefused,
    /// Who signs out is so in this browser, but the session could not be ended.
    SessionNotEnded,
    /// Too many requests in too short a time.
    TooMany,
    /// More than a route of the platform takes.
    TooLarge,
    /// A document that is not what the route takes.
    BadRequest,
    /// Nothing is recorded under that name.
    NoSuchEntry,
    /// Somebody else has proven that the domain is theirs.
    DomainTaken,
    /// The person has claimed as many domains as one may.
    TooManyDomains,
    /// The resolver did not answer.
    DnsUnavailable,
    /// Its owner stopped the bot.
    BotStopped,
    /// An admin suspended the bot.
    BotSuspended,
    /// Every place for a bot that is awake is taken, and none could be freed yet.
    NoCapacity,
    /// The bot is waking up and was not ready in time.
    BotWaking,
    /// The bot was put to sleep and is still stopping.
    BotStopping,
    /// The bot failed to start; it will be tried again.
    BotFailed,
    /// The bot failed again and again and is left alone for a while.
    BotCrashLooped,
    /// The bot stopped while it was answering.
    BotInterrupted,
    /// The bot answered with something that is no answer.
    BadAnswer,
    /// Somebody other than the Sandbox of its run spoke to an ingress.
    IngressSecretRequired,
    /// A repository was asked for without its token.
    RepositoryTokenRequired,
    /// A repository's token whose time is over.
    RepositoryTokenExpired,
    /// A repository's token that does not count.
    RepositoryTokenRefused,
    /// A token that opens another repository than the one that was asked for.
    ForeignRepository,
    /// The run a token was minted for is over.
    RunOver,
    /// A repository holds nothing of that name or form.
    BadObjectName,
    /// A repository has no such object.
    NoSuchObject,
    /// The token may add and read, not delete.
    DeletionRefused,
    /// The object is there already, with other contents.
    ObjectExists,
    /// What arrived is not what the object's name says.
    WrongHash,
    /// An upload that does not say how long it is.
    LengthRequired,
    /// An upload longer than an object of that kind may be.
    ObjectTooLarge,
    /// A range of bytes the object does not have.
    BadRange,
    /// The bucket did not do what it was asked.
    StorageUnavailable,
    /// The bot has no repository, so that nothing is saved or restored.
    NoRepository,
    /// The bot's home is not confirmed yet, so that nothing may be saved from it.
    NotRestored,
    /// A snapshot the bot's repository does not have.
    NoSuchSnapshot,
    /// Something only a bot that is awake can do.
    BotAsleep,
    /// Something went wrong on our side.
    Internal,
}

/// Between the Worker and a Sandbox a refusal is its code.
impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.facts().1)
    }
}

impl<'de> Deserialize<'de> for Refusal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::of_code(&code).ok_or_else(|| D::Error::custom("no such refusal"))
    }
}

/// The JSON form of a [`Refusal`].
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Problem {
    /// Always `about:blank` (RFC 9457 §4.2.1): the code is what programs look at.
    pub r#type: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Stable name of this refusal.
    pub code: &'static str,
    /// One line for people.
    pub title: &'static str,
    /// What to do, or what exactly happened, when there is more to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub detail: Option<String>,
}

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
            Self::HandOverRefused => (
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
            Self::BadRange => (416, "bad-range", "The object has no such bytes."),
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
            Self::BotAsleep => (
                409,
                "bot-asleep",
                "The bot is asleep, and only its container can do that; open the bot first.",
            ),
            Self::Internal => (500, "internal", "Something went wrong on our side."),
        }
    }

    /// The refusal of that code.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.facts().1 == code)
    }

    /// The refusal of that code, of those the ingress in a bot's container gives.
    pub fn of_the_ingress(code: &str) -> Option<Self> {
        let its = [
            Self::BotWaking,
            Self::BotStopping,
            Self::BotInterrupted,
            Self::BotCrashLooped,
            Self::BadAnswer,
            Self::IngressSecretRequired,
        ];
        its.into_iter().find(|refusal| refusal.facts().1 == code)
    }

    /// The JSON form.
    pub fn problem(self, detail: Option<String>) -> Problem {
        let (status, code, title) = self.facts();
        Problem {
            r#type: "about:blank",
            status,
            code,
            title,
            detail,
        }
    }
}

#[cfg(test)]
mod tests;
