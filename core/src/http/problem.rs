//! What a caller sees when something is refused: RFC 9457 `application/problem+json` with a stable `code`.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod facts;
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
    /// A CSRF token that is not the session's, or one where there is none.
    CsrfTokenRefused,
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
    /// A handoff code that was used, is too old, or is not this browser's or this host's.
    HandoffRefused,
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
    /// The bot has cost what it may cost in a month.
    SpendLimitReached,
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
    /// The bot took a request and did not begin to answer it in time.
    BotSilent,
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
    /// A path that a snapshot does not have.
    NoSuchPath,
    /// A path that no home can have, or that leads out of it.
    BadPath,
    /// Something in a snapshot that is no file.
    NotAFile,
    /// Something in a snapshot that is no directory.
    NotADirectory,
    /// What a start passed over is to be put back, and it passed nothing over, or somebody has decided.
    NothingPassedOver,
    /// Something only a bot that is awake can do.
    BotAsleep,
    /// To end the run now would lose what could not be saved.
    UnsavedChanges,
    /// A bot's config that nobody can read: no JSON5, or more than is shown here.
    ConfigUnreadable,
    /// A change of a config that is another one by now.
    ConfigChanged,
    /// A config that the bot's gateway does not take.
    ConfigRefused,
    /// A setting of the gateway's that is the platform's.
    PlatformSetting,
    /// The bot is awake, and its gateway does not answer calls.
    GatewayUnavailable,
    /// Something of the platform is not as it should be.
    PlatformUnhealthy,
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
            Self::BotSilent,
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
