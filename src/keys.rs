//! The identity provider's public keys, fetched when `core` says so and kept in this isolate.

use std::cell::RefCell;
use std::time::Duration;

use futures::future::{self, Either};
use moltworker_core::jwks::{self, Known, public_keys};
use moltworker_core::settings::Settings;
use moltworker_core::token::Algorithm;
use worker::{Delay, Fetch, Method, Request, Response};

use crate::webcrypto::{self, Key, VerifyingKey};
use crate::{clock, log};

/// How long the provider may take to answer. Verification stands still meanwhile.
const FETCH_DEADLINE: Duration = Duration::from_secs(5);
/// Bytes a JWKS may have; Supabase's has one to three keys of some 300 bytes.
const MAX_DOCUMENT_BYTES: usize = 64 * 1024;

struct Cached {
    issuer: String,
    known: Known,
    keys: Vec<(String, Algorithm, Key)>,
}

impl Cached {
    fn find(&self, key_id: &str, algorithm: Algorithm) -> Option<Key> {
        self.keys
            .iter()
            .find(|(id, of, _)| id == key_id && *of == algorithm)
            .map(|(.., key)| key.clone())
    }
}

thread_local! {
    // Built by each request that finds it wanting; the last write wins. A request that waited for another's
    // fetch would be cancelled by the runtime as a deadlock.
    static CACHE: RefCell<Option<Cached>> = const { RefCell::new(None) };
}

/// The key of that id, if it is for that algorithm; `None` when the provider has no such key.
///
/// # Errors
/// The provider had to be asked and did not answer, and no earlier answer is at hand.
pub(crate) async fn find(
    settings: &Settings,
    key_id: &str,
    algorithm: Algorithm,
) -> worker::Result<Option<Key>> {
    let issuer = settings.issuer();
    let now = clock::now_ms();
    let (known, key) = CACHE.with_borrow(|cache| {
        let cached = cache.as_ref().filter(|cached| cached.issuer == issuer);
        (
            cached.map(|cached| cached.known),
            cached.and_then(|cached| cached.find(key_id, algorithm)),
        )
    });
    if !jwks::ask_now(known, key.is_some(), now) {
        return Ok(key);
    }
    match fetch_keys(&issuer).await {
        Ok(keys) => {
            let known = Known {
                fetched_at: now,
                asked_at: now,
            };
            let cached = Cached { issuer, known, keys };
            let key = cached.find(key_id, algorithm);
            CACHE.set(Some(cached));
            Ok(key)
        }
        Err(error) if known.is_some() => {
            log::line("jwks-refresh-failed", &[("reason", &error)]);
            CACHE.with_borrow_mut(|cache| {
                if let Some(cached) = cache {
                    cached.known.asked_at = now;
                }
            });
            Ok(key)
        }
        Err(error) => Err(error),
    }
}

async fn fetch_keys(issuer: &str) -> worker::Result<Vec<(String, Algorithm, Key)>> {
    let request = Request::new(&format!("{issuer}/.well-known/jwks.json"), Method::Get)?;
    let mut response = within(FETCH_DEADLINE, Fetch::Request(request).send()).await?;
    if response.status_code() != 200 {
        return Err(worker::Error::RustError(format!(
            "the JWKS answered {}",
            response.status_code()
        )));
    }
    let document = response.text().await?;
    if document.len() > MAX_DOCUMENT_BYTES {
        return Err(worker::Error::RustError("the JWKS is too long to be one".into()));
    }
    let mut keys = Vec::new();
    for key in public_keys(&document)? {
        match webcrypto::import_verifying_key(VerifyingKey::Public(&key.jwk), key.algorithm).await {
            Ok(imported) => keys.push((key.key_id, key.algorithm, imported)),
            Err(error) => log::line("jwks-key-ignored", &[("kid", &key.key_id), ("reason", &error)]),
        }
    }
    Ok(keys)
}

/// `work`, unless it takes longer than `deadline`.
pub(crate) async fn within(
    deadline: Duration,
    work: impl Future<Output = worker::Result<Response>>,
) -> worker::Result<Response> {
    let work = std::pin::pin!(work);
    match future::select(work, Delay::from(deadline)).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => Err(worker::Error::RustError(format!(
            "no answer within {} seconds",
            deadline.as_secs()
        ))),
    }
}
