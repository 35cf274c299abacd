//! Whose fault a refusal is, for all of them: what somebody who meets one has to know first.

use super::Refusal;

/// Who has to do something about a [`Refusal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Who asked: the same request will be refused again.
    Caller,
    /// Who runs this deployment, or one of its admins: a setting, an invitation, a suspension, a lack of slots.
    Operator,
    /// The platform, or a service it stands on: trying again is all a caller can do.
    Platform,
    /// The bot: it is on its way up or down, asleep, stopped by its owner, or broken.
    Bot,
}

impl Fault {
    /// Its name in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Operator => "operator",
            Self::Platform => "platform",
            Self::Bot => "bot",
        }
    }
}

impl Refusal {
    /// Every refusal.
    pub const ALL: [Self; 77] = [
        Self::NotConfigured,
        Self::UnknownHost,
        Self::NotFound,
        Self::WrongMethod,
        Self::SignInRequired,
        Self::TokenExpired,
        Self::TokenRefused,
        Self::IdentityProviderUnavailable,
        Self::WrongOrigin,
        Self::ServiceWorker,
        Self::BadForm,
        Self::SignInNotStarted,
        Self::BearerRequired,
        Self::CsrfTokenRefused,
        Self::NotAnAdmin,
        Self::TokenScope,
        Self::PersonalTokenRefused,
        Self::TooManyPersonalTokens,
        Self::SecondFactorRequired,
        Self::NotInvited,
        Self::AccountSuspended,
        Self::AccountDeleted,
        Self::DirectoryUnavailable,
        Self::NotYourBot,
        Self::OwnAddress,
        Self::HandoffRefused,
        Self::SessionNotEnded,
        Self::TooMany,
        Self::TooLarge,
        Self::BadRequest,
        Self::NoSuchEntry,
        Self::DomainTaken,
        Self::TooManyDomains,
        Self::DnsUnavailable,
        Self::BotStopped,
        Self::BotSuspended,
        Self::SpendLimitReached,
        Self::NoCapacity,
        Self::BotWaking,
        Self::BotStopping,
        Self::BotFailed,
        Self::BotCrashLooped,
        Self::BotInterrupted,
        Self::BadAnswer,
        Self::BotSilent,
        Self::IngressSecretRequired,
        Self::RepositoryTokenRequired,
        Self::RepositoryTokenExpired,
        Self::RepositoryTokenRefused,
        Self::ForeignRepository,
        Self::RunOver,
        Self::BadObjectName,
        Self::NoSuchObject,
        Self::DeletionRefused,
        Self::ObjectExists,
        Self::WrongHash,
        Self::LengthRequired,
        Self::ObjectTooLarge,
        Self::BadRange,
        Self::StorageUnavailable,
        Self::NoRepository,
        Self::NotRestored,
        Self::NoSuchSnapshot,
        Self::NoSuchPath,
        Self::BadPath,
        Self::NotAFile,
        Self::NotADirectory,
        Self::NothingPassedOver,
        Self::BotAsleep,
        Self::UnsavedChanges,
        Self::ConfigUnreadable,
        Self::ConfigChanged,
        Self::ConfigRefused,
        Self::PlatformSetting,
        Self::GatewayUnavailable,
        Self::PlatformUnhealthy,
        Self::Internal,
    ];

    /// Whose fault it is.
    pub fn fault(self) -> Fault {
        match self {
            Self::UnknownHost
            | Self::NotFound
            | Self::WrongMethod
            | Self::SignInRequired
            | Self::TokenExpired
            | Self::TokenRefused
            | Self::WrongOrigin
            | Self::BadForm
            | Self::SignInNotStarted
            | Self::BearerRequired
            | Self::CsrfTokenRefused
            | Self::NotAnAdmin
            | Self::TokenScope
            | Self::PersonalTokenRefused
            | Self::TooManyPersonalTokens
            | Self::SecondFactorRequired
            | Self::NotYourBot
            | Self::OwnAddress
            | Self::HandoffRefused
            | Self::TooMany
            | Self::TooLarge
            | Self::BadRequest
            | Self::NoSuchEntry
            | Self::DomainTaken
            | Self::TooManyDomains
            | Self::RepositoryTokenRequired
            | Self::RepositoryTokenExpired
            | Self::RepositoryTokenRefused
            | Self::ForeignRepository
            | Self::RunOver
            | Self::BadObjectName
            | Self::NoSuchObject
            | Self::DeletionRefused
            | Self::ObjectExists
            | Self::WrongHash
            | Self::LengthRequired
            | Self::ObjectTooLarge
            | Self::BadRange
            | Self::NoSuchSnapshot
            | Self::NoSuchPath
            | Self::BadPath
            | Self::NotAFile
            | Self::NotADirectory
            | Self::NothingPassedOver
            | Self::ConfigChanged
            | Self::ConfigRefused
            | Self::PlatformSetting
            | Self::IngressSecretRequired => Fault::Caller,
            Self::NotConfigured
            | Self::NotInvited
            | Self::AccountSuspended
            | Self::AccountDeleted
            | Self::BotSuspended
            | Self::SpendLimitReached
            | Self::NoCapacity
            | Self::NoRepository => Fault::Operator,
            Self::IdentityProviderUnavailable
            | Self::DirectoryUnavailable
            | Self::DnsUnavailable
            | Self::StorageUnavailable
            | Self::SessionNotEnded
            | Self::PlatformUnhealthy
            | Self::Internal => Fault::Platform,
            Self::ServiceWorker
            | Self::BotStopped
            | Self::BotWaking
            | Self::BotStopping
            | Self::BotFailed
            | Self::BotCrashLooped
            | Self::BotInterrupted
            | Self::BadAnswer
            | Self::BotSilent
            | Self::BotAsleep
            | Self::UnsavedChanges
            | Self::ConfigUnreadable
            | Self::GatewayUnavailable
            | Self::NotRestored => Fault::Bot,
        }
    }
}
