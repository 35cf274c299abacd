//! What opens repositories: tokens that open the door, and passwords that open what is behind it. Both are
//! derived from the operator's `BACKUP_KEY`.

use std::cell::RefCell;

use moltworker_core::backup::repository::keys::{BackupKey, TOKEN_INFO, password_info};
use moltworker_core::backup::repository::scope::Bearer;
use moltworker_core::backup::repository::token::{self, Claims, RepositoryTokenError, Unchecked};
use moltworker_core::backup::repository::{credential, keys::BackupKeys};
use moltworker_core::hex;
use moltworker_core::http::problem::Refusal;
use moltworker_core::identity::token::Algorithm;
use moltworker_core::secret::Secret;
use moltworker_core::settings::Backups;
use moltworker_core::user_id::UserId;
use moltworker_core::wire::run::{RepositoryPassword, RepositoryToken};
use worker::Headers;

use crate::http::error::Result;
use crate::platform::webcrypto::{self, Key};
use crate::platform::{clock, log};

thread_local! {
    // Derived by each request that finds its key wanting; the last write wins. There are one or two.
    static MAC_KEYS: RefCell<Vec<(BackupKey, Key)>> = const { RefCell::new(Vec::new()) };
}

/// Who asks.
pub(super) async fn bearer(headers: &Headers, backups: &Backups) -> Result<Bearer> {
    let authorization = headers.get("authorization")?;
    let authorization = authorization.ok_or(Refusal::RepositoryTokenRequired)?;
    let secret = credential::read(&authorization).ok_or(Refusal::RepositoryTokenRefused)?;
    let judged = match token::parse(secret.reveal()) {
        Ok(unchecked) => checked(&unchecked, &backups.keys).await?,
        Err(RepositoryTokenError::Malformed) if is_operators(&secret, backups).await? => {
            return Ok(Bearer::Operator);
        }
        Err(error) => Err(error),
    };
    judged.map_err(|error| {
        log::line("repository-token-refused", &[("reason", &error)]);
        match error {
            RepositoryTokenError::Expired => Refusal::RepositoryTokenExpired.into(),
            RepositoryTokenError::Malformed
            | RepositoryTokenError::UnknownKey
            | RepositoryTokenError::WrongMac => Refusal::RepositoryTokenRefused.into(),
        }
    })
}

async fn checked(
    unchecked: &Unchecked<'_>,
    keys: &BackupKeys,
) -> worker::Result<std::result::Result<Bearer, RepositoryTokenError>> {
    let Some(key) = keys.of_version(unchecked.key_version) else {
        return Ok(Err(RepositoryTokenError::UnknownKey));
    };
    let holds = mac_holds(key, &unchecked.mac, unchecked.signed.as_bytes()).await?;
    Ok(unchecked.judged(holds, clock::now_ms()))
}

/// Compares MACs of the two, in constant time: comparing them as they are would tell how much of a guess fits.
async fn is_operators(presented: &Secret<String>, backups: &Backups) -> worker::Result<bool> {
    let Some(expected) = &backups.operator_token else {
        return Ok(false);
    };
    let key = backups.keys.newest();
    let expected = webcrypto::mac(&mac_key(key).await?, expected.reveal().as_bytes()).await?;
    mac_holds(key, &expected, presented.reveal().as_bytes()).await
}

async fn mac_holds(key: &BackupKey, mac: &[u8], data: &[u8]) -> worker::Result<bool> {
    webcrypto::signature_holds(&mac_key(key).await?, Algorithm::Hs256, mac, data).await
}

async fn mac_key(key: &BackupKey) -> worker::Result<Key> {
    let known = MAC_KEYS.with_borrow(|keys| {
        let known = keys.iter().find(|(of, _)| of == key);
        known.map(|(_, derived)| derived.clone())
    });
    if let Some(derived) = known {
        return Ok(derived);
    }
    let derived = webcrypto::derive(key.bytes.reveal(), TOKEN_INFO).await?;
    let derived = webcrypto::import_mac_key(&derived).await?;
    MAC_KEYS.with_borrow_mut(|keys| keys.push((key.clone(), derived.clone())));
    Ok(derived)
}

/// Mints a token that says `claims`.
pub(crate) async fn mint(claims: &Claims, keys: &BackupKeys) -> worker::Result<RepositoryToken> {
    let key = keys.newest();
    let signed = claims.to_sign(key.version);
    let mac = webcrypto::mac(&mac_key(key).await?, signed.as_bytes()).await?;
    token::assemble(&signed, &mac).map_err(|reason| worker::Error::RustError(reason.into()))
}

/// The passwords of a user's repository, newest first: one for each key, because a repository may still be
/// locked with an older one.
pub(crate) async fn passwords(user: UserId, keys: &BackupKeys) -> worker::Result<Vec<RepositoryPassword>> {
    let mut passwords = Vec::new();
    for key in keys.all() {
        let bytes = webcrypto::derive(key.bytes.reveal(), &password_info(user)).await?;
        let password = RepositoryPassword::new(hex::encode(&bytes));
        passwords.push(password.map_err(|reason| worker::Error::RustError(reason.into()))?);
    }
    Ok(passwords)
}
