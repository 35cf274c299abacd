use super::*;
use std::collections::BTreeSet;

const ALL: &[Refusal] = &[
    Refusal::NotConfigured,
    Refusal::UnknownHost,
    Refusal::NotFound,
    Refusal::WrongMethod,
    Refusal::SignInRequired,
    Refusal::TokenExpired,
    Refusal::TokenRefused,
    Refusal::IdentityProviderUnavailable,
    Refusal::WrongOrigin,
    Refusal::ServiceWorker,
    Refusal::BadForm,
    Refusal::SignInNotStarted,
    Refusal::BearerRequired,
    Refusal::NotAnAdmin,
    Refusal::NotInvited,
    Refusal::AccountSuspended,
    Refusal::AccountDeleted,
    Refusal::DirectoryUnavailable,
    Refusal::NotYourBot,
    Refusal::OwnAddress,
    Refusal::HandOverRefused,
    Refusal::TooMany,
    Refusal::TooLarge,
    Refusal::BadRequest,
    Refusal::NoSuchEntry,
    Refusal::DomainTaken,
    Refusal::TooManyDomains,
    Refusal::DnsUnavailable,
    Refusal::BotStopped,
    Refusal::BotSuspended,
    Refusal::NoCapacity,
    Refusal::BotWaking,
    Refusal::BotStopping,
    Refusal::BotFailed,
    Refusal::BotCrashLooped,
    Refusal::BotInterrupted,
    Refusal::RepositoryTokenRequired,
    Refusal::RepositoryTokenExpired,
    Refusal::RepositoryTokenRefused,
    Refusal::ForeignRepository,
    Refusal::RunOver,
    Refusal::BadObjectName,
    Refusal::NoSuchObject,
    Refusal::DeletionRefused,
    Refusal::ObjectExists,
    Refusal::WrongHash,
    Refusal::LengthRequired,
    Refusal::ObjectTooLarge,
    Refusal::BadRange,
    Refusal::StorageUnavailable,
    Refusal::NoRepository,
    Refusal::NotRestored,
    Refusal::NoSuchSnapshot,
    Refusal::BotAsleep,
    Refusal::Internal,
];

#[test]
fn codes_are_unique_and_statuses_fit() {
    let codes: BTreeSet<_> = ALL.iter().map(|refusal| refusal.facts().1).collect();
    assert_eq!(codes.len(), ALL.len());
    for &refusal in ALL {
        let (status, code, _) = refusal.facts();
        assert_eq!(status == 401, refusal.challenge().is_some(), "{code}");
        assert_eq!(
            matches!(status, 429 | 503),
            refusal.retry_after().is_some(),
            "{code}"
        );
    }
}
