//! Every refusal, in one table.

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
fn every_refusal_is_in_the_table() {
    let source = include_str!("../problem.rs");
    let (_, rest) = source.split_once("pub enum Refusal {\n").unwrap();
    let (variants, _) = rest.split_once("\n}").unwrap();
    let written = variants.lines().map(str::trim);
    let written: BTreeSet<_> = written
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .map(|line| line.trim_end_matches(',').to_owned())
        .collect();
    let listed: BTreeSet<_> = ALL.iter().map(|refusal| format!("{refusal:?}")).collect();
    assert_eq!(written, listed);
}

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
