//! The identity provider's public keys, fetched when `core` says so and kept in this isolate.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use moltworker_core::identity::jwks::{self, Keys, KnownKeys, public_keys};
use moltworker_core::identity::token::Algorithm;
use moltworker_core::identity::token::seen::KeySet;
use moltworker_core::settings::Settings;
use worker::{Delay, Fetch, Method, Request};

use crate::platform::webcrypto::{self, Key, VerifyingKey};
use crate::platform::{clock, log};

/// How long the provider may take to answer. Verification stands still meanwhile.
const FETCH_DEADLINE: Duration = Duration::from_secs(5);
/// How often a request looks whether the answer another one waits for has come.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Bytes a JWKS may have; Supabase's has one to three keys of some 300 bytes.
const MAX_DOCUMENT_BYTES: usize = 64 * 1024;

struct Cached {
    auth_url: String,
    known: KnownKeys,
    document: String,
    /// Counts the different key sets this isolate has seen.
    set: u32,
    keys: Vec<(String, Algorithm, Key)>,
}

impl Cached {
    fn find(&self, key_id: &str, algorithm: Algorithm) -> Option<(Key, KeySet)> {
        self.keys
            .iter()
            .find(|(id, of, _)| id == key_id && *of == algorithm)
            .map(|(.., key)| (key.clone(), Some(self.set)))
    }
}

thread_local! {
    static CACHE: RefCell<Option<Cached>> = const { RefCell::new(None) };
    // When the request that asks the provider now began to. Others look at the cache until it has: the
    // runtime cancels a request that awaits another's promise, and one whose client went away never ends.
    static ASKING_SINCE: Cell<Option<u64>> = const { Cell::new(None) };
    static LEGACY: RefCell<Option<(String, Key)>> = const { RefCell::new(None) };
}

/// The key of that id, if it is for that algorithm; `None` when the provider has no such key.
///
/// # Errors
/// The provider had to be asked and did not answer, and no earlier answer is at hand.
pub(crate) async fn find(
    settings: &Settings,
    key_id: &str,
    algorithm: Algorithm,
) -> worker::Result<Option<(Key, KeySet)>> {
    let auth_url = settings.auth_url();
    loop {
        let now = clock::now_ms();
        let (known, key) = CACHE.with_borrow(|cache| {
            let cached = cache.as_ref().filter(|cached| cached.auth_url == auth_url);
            let key = cached.and_then(|cached| cached.find(key_id, algorithm));
            (cached.map(|cached| cached.known), key)
        });
        match jwks::look_up(known, key.is_some(), now) {
            Keys::Use => return Ok(key),
            Keys::Unavailable => {
                return Err(worker::Error::RustError(
                    "the JWKS could not be fetched a moment ago".into(),
                ));
            }
            Keys::Ask => {}
        }
        let asked_by_another = ASKING_SINCE
            .get()
            .is_some_and(|since| u128::from(now.saturating_sub(since)) < FETCH_DEADLINE.as_millis());
        if asked_by_another {
            if key.is_some() {
                return Ok(key);
            }
            Delay::from(LOOK_AGAIN).await;
            continue;
        }
        ASKING_SINCE.set(Some(now));
        let fetched = fetch_document(&auth_url).await;
        let outcome = match fetched {
            Ok(document) => take(&auth_url, document, now).await,
            Err(error) => Err(error),
        };
        ASKING_SINCE.set(None);
        if let Err(error) = outcome {
            log::line("jwks-refresh-failed", &[("reason", &error)]);
            remember_failure(auth_url, now);
            return if key.is_some() { Ok(key) } else { Err(error) };
        }
        return Ok(CACHE.with_borrow(|cache| cache.as_ref()?.find(key_id, algorithm)));
    }
}

/// Asks the provider for its keys, whatever is known of them.
///
/// # Errors
/// It does not answer, or not with keys.
pub(crate) async fn answers(settings: &Settings) -> worker::Result<()> {
    let document = fetch_document(&settings.auth_url()).await?;
    let read = public_keys(&document).map_err(|error| worker::Error::RustError(error.to_string()))?;
    drop(read);
    Ok(())
}

/// Whether what was verified with these keys would be verified again without asking anybody.
pub(crate) fn still_trusted(settings: &Settings, keys: KeySet) -> bool {
    let Some(set) = keys else { return true };
    CACHE.with_borrow(|cache| {
        cache.as_ref().is_some_and(|cached| {
            let fresh = cached
                .known
                .fetched_at
                .is_some_and(|at| jwks::are_fresh(at, clock::now_ms()));
            cached.set == set && fresh && cached.auth_url == settings.auth_url()
        })
    })
}

/// The project's legacy secret as a key.
pub(crate) async fn legacy(secret: &str) -> worker::Result<Key> {
    let cached = LEGACY.with_borrow(|legacy| {
        let known = legacy.as_ref().filter(|(of, _)| of == secret);
        known.map(|(_, key)| key.clone())
    });
    if let Some(key) = cached {
        return Ok(key);
    }
    let key =
        webcrypto::import_verifying_key(VerifyingKey::Secret(secret.as_bytes()), Algorithm::Hs256).await?;
    LEGACY.set(Some((secret.to_owned(), key.clone())));
    Ok(key)
}

async fn fetch_document(auth_url: &str) -> worker::Result<String> {
    let request = Request::new(&format!("{auth_url}/.well-known/jwks.json"), Method::Get)?;
    let mut response = clock::within(FETCH_DEADLINE, Fetch::Request(request).send()).await?;
    if response.status_code() != 200 {
        return Err(worker::Error::RustError(format!(
            "the JWKS answered {}",
            response.status_code()
        )));
    }
    let document = clock::within(FETCH_DEADLINE, response.text()).await?;
    if document.len() > MAX_DOCUMENT_BYTES {
        return Err(worker::Error::RustError("the JWKS is too long to be one".into()));
    }
    Ok(document)
}

/// Puts a document's keys in the place of the ones before.
async fn take(auth_url: &str, document: String, now: u64) -> worker::Result<()> {
    let known = KnownKeys {
        fetched_at: Some(now),
        asked_at: now,
    };
    let (set, unchanged) = CACHE.with_borrow_mut(|cache| match cache {
        Some(cached) if cached.auth_url == auth_url && cached.document == document => {
            cached.known = known;
            (cached.set, true)
        }
        Some(cached) => (cached.set.wrapping_add(1), false),
        None => (0, false),
    });
    if unchanged {
        return Ok(());
    }
    let mut keys = Vec::new();
    let read = public_keys(&document).map_err(|error| worker::Error::RustError(error.to_string()))?;
    for key in read {
        match webcrypto::import_verifying_key(VerifyingKey::Public(&key.jwk), key.algorithm).await {
            Ok(imported) => keys.push((key.key_id, key.algorithm, imported)),
            Err(error) => log::line("jwks-key-ignored", &[("kid", &key.key_id), ("reason", &error)]),
        }
    }
    CACHE.set(Some(Cached {
        auth_url: auth_url.to_owned(),
        known,
        document,
        set,
        keys,
    }));
    Ok(())
}

fn remember_failure(auth_url: String, now: u64) {
    CACHE.with_borrow_mut(|cache| match cache {
        Some(cached) if cached.auth_url == auth_url => cached.known.asked_at = now,
        _ => {
            *cache = Some(Cached {
                auth_url,
                known: KnownKeys {
                    fetched_at: None,
                    asked_at: now,
                },
                document: String::new(),
                set: 0,
                keys: Vec::new(),
            });
        }
    });
}
