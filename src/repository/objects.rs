//! The objects of one bot's repository in the bucket.
//!
//! Bodies pass from the socket to the bucket and back as the streams they are and never enter wasm memory; the
//! config, of some 200 bytes, is the exception.

use moltworker_core::backup::repository::listing::{self, ListedObject, Version};
use moltworker_core::backup::repository::object::{self, Name, ObjectId, ObjectKind};
use moltworker_core::backup::repository::range::Range;
use moltworker_core::http::problem::Refusal;
use moltworker_core::metrics::table::{DELETED_BYTES, STORED_BYTES};
use moltworker_core::settings::BUCKET_BINDING;
use moltworker_core::user_id::UserId;
use worker::{Bucket, Conditional, Env, Headers, Object, Request, Response, web_sys};

use crate::http::error::{Error, Result};
use crate::http::reply;
use crate::platform::{log, metrics};
use crate::repository::usage::{self, OperationClass};

/// Objects in one page of the bucket's list: as many as it gives.
const PAGE: u32 = 1_000;
const BYTES: &str = "application/octet-stream";

/// What the bucket says when something is the caller's doing: its code, in parentheses at the end of the
/// message (the R2 error codes of Cloudflare's documentation).
const REFUSALS: [(&str, Refusal); 3] = [
    ("(10037)", Refusal::WrongHash),
    ("(10039)", Refusal::BadRange),
    ("(100100)", Refusal::ObjectTooLarge),
];

pub(super) struct Objects {
    bucket: Bucket,
    user: UserId,
}

impl Objects {
    pub(super) fn of(env: &Env, user: UserId) -> worker::Result<Self> {
        let bucket = env.bucket(BUCKET_BINDING)?;
        Ok(Self { bucket, user })
    }

    /// Counts an operation that is about to be asked for: it is billed, however it ends.
    fn count(&self, class: OperationClass) {
        usage::count(self.user, class);
    }

    /// Whether it is there: its length as `Content-Length`.
    pub(super) async fn stat(&self, name: Name) -> Result<Response> {
        self.count(OperationClass::B);
        let found = self
            .bucket
            .head(name.key(self.user))
            .await
            .map_err(|error| failure(&error))?;
        let size = found.ok_or(Refusal::NoSuchObject)?.size().to_string();
        let answer = reply::bare(200)?.with_header("content-type", BYTES)?;
        Ok(answer.with_header("content-length", &size)?.empty())
    }

    /// Its bytes, or the range of them that was asked for.
    pub(super) async fn read(&self, name: Name, headers: &Headers) -> Result<Response> {
        let range = headers.get("range")?.as_deref().and_then(Range::parse);
        let mut get = self.bucket.get(name.key(self.user));
        if let Some(range) = range {
            get = get.range(match range {
                Range::From(offset) => worker::Range::OffsetToEnd { offset },
                Range::Between(offset, last) => worker::Range::OffsetWithLength {
                    offset,
                    length: last.saturating_sub(offset).saturating_add(1),
                },
                // The bucket takes no such question; the answer is known without it.
                Range::Last(0) => return Err(Refusal::BadRange.into()),
                Range::Last(suffix) => worker::Range::Suffix { suffix },
            });
        }
        self.count(OperationClass::B);
        let found = get.execute().await.map_err(|error| failure(&error))?;
        let found = found.ok_or(Refusal::NoSuchObject)?;
        let size = found.size();
        let mut answer = match range {
            None => reply::bare(200)?,
            Some(range) => {
                let bytes = range.within(size).ok_or(Refusal::BadRange)?;
                let content_range = Range::content_range(bytes, size);
                reply::bare(206)?.with_header("content-range", &content_range)?
            }
        };
        answer = answer
            .with_header("content-type", BYTES)?
            .with_header("accept-ranges", "bytes")?;
        let body = found
            .body()
            .ok_or_else(|| worker::Error::RustError("the bucket gave an object without its body".into()))?;
        Ok(answer.body(body.response_body()?))
    }

    /// Adds an object. One that is there stays as it is: having sent its content once more is no error, so
    /// that a client may repeat what it got no answer to.
    pub(super) async fn add(&self, name: Name, request: &mut Request) -> Result<()> {
        let length = request.headers().get("content-length")?;
        let length: u64 = length
            .and_then(|length| length.parse().ok())
            .filter(|length| *length > 0)
            .ok_or(Refusal::LengthRequired)?;
        if length > name.max_bytes() {
            let most = format!("at most {} bytes", name.max_bytes());
            return Err(Error::Refused(Refusal::ObjectTooLarge, Some(most)));
        }
        match name {
            Name::Config => self.add_config(request).await,
            Name::Object(_, id) => {
                let body = request.inner().body().ok_or(Refusal::LengthRequired)?;
                if self.add_hashed(name, id, body).await? {
                    metrics::count(STORED_BYTES.count(&[], length));
                }
                Ok(())
            }
        }
    }

    /// Whether it was not there before.
    async fn add_hashed(&self, name: Name, id: ObjectId, body: web_sys::ReadableStream) -> Result<bool> {
        let put = self.bucket.put(name.key(self.user), body);
        self.count(OperationClass::A);
        let put = put.sha256(id.digest().as_slice()).only_if(nothing_there());
        let put = put.execute().await.map_err(|error| upload_failure(&error))?;
        Ok(put.is_some())
    }

    async fn add_config(&self, request: &mut Request) -> Result<()> {
        let key = Name::Config.key(self.user);
        // A container that dies meanwhile is no fault of the platform's.
        let config = request.bytes().await.map_err(|error| upload_failure(&error))?;
        let put = self.bucket.put(key.clone(), config.clone());
        self.count(OperationClass::A);
        let put = put.only_if(nothing_there()).execute().await;
        if put.map_err(|error| failure(&error))?.is_some() {
            return Ok(());
        }
        self.count(OperationClass::B);
        let there = self
            .bucket
            .get(key)
            .execute()
            .await
            .map_err(|error| failure(&error))?;
        let same = match there.as_ref().and_then(Object::body) {
            Some(body) => body.bytes().await? == config,
            None => false,
        };
        if same {
            Ok(())
        } else {
            Err(Refusal::ObjectExists.into())
        }
    }

    /// Removes it, or finds it gone already: a client may repeat this as well.
    pub(super) async fn delete(&self, name: Name) -> Result<()> {
        let key = name.key(self.user);
        // For the metrics alone: maintenance deletes a few a day, and nothing hangs on it.
        let there = self.bucket.head(&key).await.ok().flatten();
        self.bucket.delete(key).await.map_err(|error| failure(&error))?;
        if let Some(there) = there {
            metrics::count(DELETED_BYTES.count(&[], there.size()));
        }
        Ok(())
    }

    /// The snapshots, each with the time at which the bucket got it.
    pub(super) async fn snapshots(&self) -> Result<Vec<(ObjectId, u64)>> {
        self.each(ObjectKind::Snapshots, |id, found| {
            (id, found.uploaded().as_millis())
        })
        .await
    }

    /// All objects of a kind, or an error; never a part of them.
    async fn each<T>(&self, kind: ObjectKind, as_told: impl Fn(ObjectId, &Object) -> T) -> Result<Vec<T>> {
        let mut all = Vec::new();
        let mut cursor = None;
        loop {
            let mut page = self.bucket.list().limit(PAGE).prefix(kind.prefix(self.user));
            if let Some(cursor) = cursor {
                page = page.cursor(cursor);
            }
            self.count(OperationClass::A);
            let page = page.execute().await.map_err(|error| failure(&error))?;
            let objects = page.objects();
            all.extend(
                objects
                    .iter()
                    .filter_map(|found| Some(as_told(object::id_of(&found.key())?, found))),
            );
            cursor = page.cursor();
            if !page.truncated() {
                return Ok(all);
            }
            if cursor.is_none() {
                return Err(worker::Error::RustError("a page of the list has no cursor".into()).into());
            }
        }
    }

    /// All objects of a kind, as a client of the protocol reads them.
    pub(super) async fn list(&self, kind: ObjectKind, headers: &Headers) -> Result<Response> {
        let version = Version::accepted(headers.get("accept")?.as_deref());
        let entries = self
            .each(kind, |id, found| ListedObject::new(id, found.size()))
            .await?;
        let json = listing::to_json(version, &entries).map_err(worker::Error::from)?;
        let answer = reply::bare(200)?.with_header("content-type", version.content_type())?;
        Ok(answer.fixed(json))
    }
}

/// The condition under which an object may be written: none of that key is there.
fn nothing_there() -> Conditional {
    Conditional {
        etag_does_not_match: Some("*".into()),
        ..Conditional::default()
    }
}

/// What an error of the bucket means for the caller.
fn failure(error: &worker::Error) -> Error {
    refused(error).unwrap_or_else(|| {
        log::fault("storage-failed", &[("reason", error)]);
        Refusal::StorageUnavailable.into()
    })
}

/// The same for an upload. The runtime says alike that the bucket failed and that the sender is gone, so this is no fault in the log;
/// that the bucket is down is seen by what only reads.
fn upload_failure(error: &worker::Error) -> Error {
    refused(error).unwrap_or_else(|| {
        log::line("upload-failed", &[("reason", error)]);
        Refusal::StorageUnavailable.into()
    })
}

fn refused(error: &worker::Error) -> Option<Error> {
    let words = error.to_string();
    let known = REFUSALS.iter().find(|(code, _)| words.contains(code));
    known.map(|(_, refusal)| (*refusal).into())
}
