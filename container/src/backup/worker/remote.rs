//! A bot's repository over HTTP: the client of the restic REST protocol that rustic works on.
//!
//! Our own, because what matters here is what an answer means. Only a 404 says that something is not there; any
//! other failure is a failure, after some attempts. What is read is compared with the digest that names it. Once
//! a write has failed, no snapshot is written any more: rustic leaves out a file it could not store and goes on.

mod ahead;
mod held_up;
mod kept;
mod packs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rustic_core::{FileType, Id};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use ureq::http::{Method, Request, Response};
use ureq::{Agent, Body};

use super::now_ms;
use super::wire::{JobAccess, Renewed, Traffic};
use held_up::Waits;
use packs::Packs;

pub(crate) use kept::KeptObjects;
pub(super) use packs::InHand;

/// So often something is tried before it has failed.
const ATTEMPTS: u32 = 5;
/// The pause after the first failed attempt; it doubles with each further one: 3 s in all.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// A body may take so many times as long as the beginning of an answer: 2 minutes for some 16 MB with the
/// usual 30 s, that is 1 Mbit/s.
const BODY_FACTOR: u32 = 4;
/// Larger than any listing or range should be. What is longer is refused, not cut.
pub(super) const MAX_BODY: u64 = 256 * 1024 * 1024;
/// A token is renewed when a third of what is left of it is over: two more attempts fit in.
const RENEW_AFTER: i64 = 3;

/// Why the repository did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    /// It answered, and not as it should.
    #[error("the repository answers {status} to {method} {path}")]
    Status {
        status: u16,
        /// What was asked.
        method: Method,
        /// Of what, below the repository.
        path: String,
    },
    /// It did not answer, or not to the end.
    #[error("the repository does not answer {method} {path}: {error}")]
    Silent {
        /// What was asked.
        method: Method,
        /// Of what, below the repository.
        path: String,
        /// What happened instead.
        error: String,
    },
    /// What it answered is not what was asked for.
    #[error("the repository's answer to GET {path} is damaged: {what}")]
    Damaged {
        /// What was asked for.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// It was asked for before, in vain.
    #[error("{0}")]
    Again(String),
}

impl RemoteError {
    fn is_worth_another_attempt(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status >= 500 || matches!(status, 408 | 425 | 429),
            Self::Silent { .. } | Self::Damaged { .. } => true,
            Self::Again(_) => false,
        }
    }

    /// Whether it says nothing about what is stored.
    fn is_inconclusive(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status != 404,
            Self::Silent { .. } => true,
            Self::Damaged { .. } | Self::Again(_) => false,
        }
    }
}

/// Takes what is wanted from an answer; what is wrong with it is named by the function it is given.
type Take<'a, T> = dyn Fn(&mut Response<Body>, &dyn Fn(String) -> RemoteError) -> Result<T, RemoteError> + 'a;

/// The client.
pub(crate) struct Remote {
    agent: Agent,
    pub(super) base: String,
    authorization: Mutex<String>,
    renew_at: Mutex<i64>,
    packs: Packs,
    kept: Option<KeptObjects>,
    trees: Option<KeptObjects>,
    /// The repository's config, once it was read.
    pub(super) config: Mutex<Option<Bytes>>,
    /// The first write that failed for good.
    pub(super) failed: Mutex<Option<String>>,
    /// The last failure, in our words: rustic's own are for its own users.
    last_failure: Mutex<Option<String>>,
    /// The first request that was not answered, or refused, for good.
    unanswered: Mutex<Option<String>>,
    pub(super) holding_back: AtomicBool,
    /// Snapshots that were written and not sent.
    pub(super) held_back: Mutex<BTreeMap<Id, Bytes>>,
    /// The snapshot that was written last.
    pub(super) written: Mutex<Option<Id>>,
    /// The snapshots that were listed last.
    pub(super) listed: Mutex<BTreeSet<Id>>,
    waits: Waits,
    reads: AtomicU64,
    writes: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Remote({})", self.base)
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn path_of(kind: FileType, id: &Id) -> String {
    match kind {
        FileType::Config => "config".to_owned(),
        kind => format!("{}/{}", kind.dirname(), id.to_hex().as_str()),
    }
}

fn number(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl Remote {
    /// A client for this repository, and what is kept of it on this machine: small objects, and packs of trees.
    pub(crate) fn new(access: &JobAccess, [kept, trees]: [Option<KeptObjects>; 2]) -> Self {
        let patience = Duration::from_millis(access.patience_ms);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections(ahead::SIDE_BY_SIDE)
            .max_idle_connections_per_host(ahead::SIDE_BY_SIDE)
            .user_agent(concat!("moltbot-supervisor/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(patience))
            .timeout_recv_response(Some(patience))
            .timeout_send_body(Some(patience.saturating_mul(BODY_FACTOR)))
            .timeout_recv_body(Some(patience.saturating_mul(BODY_FACTOR)))
            .build();
        Self {
            agent: config.into(),
            base: access.url.clone(),
            authorization: Mutex::new(bearer(&access.token)),
            renew_at: Mutex::new(access.renew_at),
            packs: Packs::default(),
            kept,
            trees,
            config: Mutex::default(),
            failed: Mutex::default(),
            last_failure: Mutex::default(),
            unanswered: Mutex::default(),
            holding_back: AtomicBool::new(false),
            held_back: Mutex::default(),
            written: Mutex::default(),
            listed: Mutex::default(),
            waits: Waits::default(),
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        }
    }

    /// Renews the token when its time has come. That also proves that a repository's endpoint answers here, and
    /// not something else that knows no path below it.
    ///
    /// # Errors
    /// When it is refused, or nobody answers.
    pub(crate) fn renew(&self) -> Result<Option<Renewed>, RemoteError> {
        if now_ms() < *locked(&self.renew_at) {
            return Ok(None);
        }
        self.renew_now().map(Some)
    }

    /// Renews the token whatever its age.
    ///
    /// # Errors
    /// As [`Remote::renew`].
    pub(crate) fn renew_now(&self) -> Result<Renewed, RemoteError> {
        #[derive(Deserialize)]
        struct Answer {
            token: String,
            expires_at: i64,
        }
        let path = "token";
        let answer = self.read(&Method::POST, path, None)?;
        let answer: Answer = serde_json::from_slice(&answer).map_err(|error| RemoteError::Damaged {
            path: path.to_owned(),
            what: error.to_string(),
        })?;
        *locked(&self.authorization) = bearer(&answer.token);
        let now = now_ms();
        let renew_at = now.saturating_add(answer.expires_at.saturating_sub(now) / RENEW_AFTER);
        *locked(&self.renew_at) = renew_at;
        Ok(Renewed {
            token: answer.token,
            renew_at,
        })
    }

    /// Whether there is an object of this path: yes only by a success, no only by a 404.
    ///
    /// # Errors
    /// Every other answer.
    pub(crate) fn exists(&self, path: &str) -> Result<bool, RemoteError> {
        match self.attempts(&Method::HEAD, path, None, &[], &|_, _| Ok(())) {
            Ok(()) => Ok(true),
            Err(RemoteError::Status { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// From now on written snapshots are not sent but can be read here only, until [`Remote::let_snapshots_pass`].
    pub(crate) fn hold_snapshots_back(&self) {
        self.holding_back.store(true, Ordering::Relaxed);
    }

    /// Snapshots are sent again.
    pub(crate) fn let_snapshots_pass(&self) {
        self.holding_back.store(false, Ordering::Relaxed);
    }

    /// The first write that failed, if one did.
    pub(crate) fn failed_write(&self) -> Option<String> {
        locked(&self.failed).clone()
    }

    /// Which snapshot was written last.
    pub(crate) fn written_snapshot(&self) -> Option<Id> {
        *locked(&self.written)
    }

    /// Which snapshots the repository listed when it was last asked: rustic asks anew whenever it needs them, and
    /// believes what it is answered.
    pub(crate) fn listed_snapshots(&self) -> BTreeSet<Id> {
        locked(&self.listed).clone()
    }

    /// The last failure of any kind, in words.
    pub(crate) fn last_failure(&self) -> Option<String> {
        locked(&self.last_failure).clone()
    }

    /// Which request was given up because nobody answered it, or nobody would: that says nothing about what is stored,
    /// while an answer that something is not there, or one that is not what its name says, does.
    pub(crate) fn unanswered(&self) -> Option<String> {
        locked(&self.unanswered).clone()
    }

    /// What is waited for, when the repository does not do what it is asked; it is asked again.
    pub(crate) fn held_up(&self) -> Option<String> {
        self.waits.held_up()
    }

    /// What went over the wire so far.
    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            reads: self.reads.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
        }
    }

    /// Reads an answer to its end.
    pub(super) fn read(
        &self,
        method: &Method,
        path: &str,
        range: Option<(u32, u32)>,
    ) -> Result<Bytes, RemoteError> {
        let range = range.map(|(from, to)| format!("bytes={from}-{to}"));
        let headers: Vec<_> = range.iter().map(|range| ("range", range.as_str())).collect();
        self.attempts(method, path, None, &headers, &|response, damaged| {
            if !headers.is_empty() && response.status().as_u16() != 206 {
                return Err(damaged("not the range that was asked for".to_owned()));
            }
            self.body(response, MAX_BODY).map_err(damaged)
        })
    }

    pub(super) fn body(&self, response: &mut Response<Body>, limit: u64) -> Result<Bytes, String> {
        let bytes = response
            .body_mut()
            .with_config()
            .limit(limit)
            .read_to_vec()
            .map_err(|error| error.to_string())?;
        self.received.fetch_add(number(bytes.len()), Ordering::Relaxed);
        Ok(bytes.into())
    }

    /// Reads an object, unless it is kept, and compares it with its name.
    pub(super) fn whole(&self, path: &str, id: &Id) -> Result<Bytes, RemoteError> {
        if let Some(kept) = self.kept.as_ref().and_then(|kept| kept.get(id)) {
            return Ok(kept);
        }
        let read = self.attempts(&Method::GET, path, None, &[], &|response, damaged| {
            let bytes = self.body(response, MAX_BODY).map_err(damaged)?;
            check_digest(&bytes, id).map_err(damaged)?;
            Ok(bytes)
        });
        read.inspect(|bytes| self.keep(id, bytes))
    }

    /// Keeps an object that will be asked for again.
    pub(super) fn keep(&self, id: &Id, bytes: &[u8]) {
        if let Some(kept) = &self.kept {
            kept.put(id, bytes);
        }
    }

    /// Sends a request until it is answered or has failed too often.
    pub(super) fn attempts<T>(
        &self,
        method: &Method,
        path: &str,
        content: Option<&[u8]>,
        headers: &[(&str, &str)],
        take: &Take<'_, T>,
    ) -> Result<T, RemoteError> {
        let damaged = |what| RemoteError::Damaged {
            path: path.to_owned(),
            what,
        };
        let mut pause = FIRST_PAUSE;
        let waiting = self.waits.begin(method, path);
        for attempt in 1.. {
            let answered = self.ask(method, path, content, headers);
            let error = match answered.and_then(|mut response| take(&mut response, &damaged)) {
                Ok(taken) => return Ok(taken),
                // An attempt whose answer was lost had been carried out.
                Err(RemoteError::Status {
                    status: 403 | 409 | 412,
                    ..
                }) if attempt > 1 && content.is_some() && self.exists(path)? => {
                    let mut response = Response::new(Body::builder().data(""));
                    return take(&mut response, &damaged);
                }
                Err(error) => error,
            };
            if !matches!(error, RemoteError::Status { status: 404, .. }) {
                *locked(&self.last_failure) = Some(error.to_string());
            }
            if attempt >= ATTEMPTS || !error.is_worth_another_attempt() {
                if error.is_inconclusive() {
                    locked(&self.unanswered).get_or_insert_with(|| error.to_string());
                }
                return Err(error);
            }
            waiting.failed(&error.to_string());
            #[expect(
                clippy::disallowed_methods,
                reason = "a pause between two attempts; there is no condition to wait for"
            )]
            std::thread::sleep(pause);
            pause = pause.saturating_mul(2);
        }
        Err(damaged("never answered".to_owned()))
    }

    /// One request. Every status but a success is an error.
    fn ask(
        &self,
        method: &Method,
        path: &str,
        content: Option<&[u8]>,
        headers: &[(&str, &str)],
    ) -> Result<Response<Body>, RemoteError> {
        let silent = |error: String| RemoteError::Silent {
            method: method.clone(),
            path: path.to_owned(),
            error,
        };
        let reads = matches!(*method, Method::GET | Method::HEAD) && !path.ends_with('/');
        let counter = if reads { &self.reads } else { &self.writes };
        counter.fetch_add(1, Ordering::Relaxed);
        let mut request = Request::builder()
            .method(method.clone())
            .uri(format!("{}{path}", self.base))
            .header("authorization", locked(&self.authorization).as_str());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = if *method == Method::POST {
            let content = content.unwrap_or_default();
            self.sent.fetch_add(number(content.len()), Ordering::Relaxed);
            let request = request
                .header("content-type", "application/octet-stream")
                .body(content);
            self.agent
                .run(request.map_err(|error| silent(error.to_string()))?)
        } else {
            self.agent
                .run(request.body(()).map_err(|error| silent(error.to_string()))?)
        };
        let response = response.map_err(|error| silent(error.to_string()))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(RemoteError::Status {
            status: response.status().as_u16(),
            method: method.clone(),
            path: path.to_owned(),
        })
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

pub(super) fn check_digest(bytes: &[u8], id: &Id) -> Result<(), String> {
    if Id::new(Sha256::digest(bytes).into()) == *id {
        Ok(())
    } else {
        Err("it is not what its name says".to_owned())
    }
}
