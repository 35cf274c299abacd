//! A bot's repository of snapshots: the restic REST protocol, from a container or an operator to the bucket.
//!
//! What it wants (`core::backup::repository::request`) → who asks ([`credentials`]) → may they
//! (`core::backup::repository::scope`) → the bucket ([`objects`]). Passwords of repositories: [`credentials`] as well.

pub(crate) mod credentials;
mod objects;
pub(crate) mod usage;

use moltworker_core::backup::repository::object::{self, Name, ObjectId, ObjectKind};
use moltworker_core::backup::repository::request::{self, NotAnOperation, RepositoryOperation};
use moltworker_core::backup::repository::scope::Bearer;
use moltworker_core::http::problem::Refusal;
use moltworker_core::settings::{BUCKET_BINDING, Settings};
use moltworker_core::user_id::UserId;
use moltworker_core::wire::run::SnapshotId;
use worker::{Env, Object, Request, Response};

use crate::http::address::{Address, method_of};
use crate::http::error::{Error, Result};
use crate::http::reply;
use crate::platform::log;
use crate::platform::sandbox_client;
use objects::Objects;

/// What the bucket itself says of a snapshot.
#[derive(Debug, Clone)]
pub(crate) struct BucketSnapshot {
    pub(crate) id: SnapshotId,
    /// When the bucket got it, in milliseconds since 1970.
    pub(crate) stored_at: u64,
}

/// The snapshots of `user`: that they are there, not what is in them.
///
/// # Errors
/// When the bucket does not tell all of them.
pub(crate) async fn snapshots(env: &Env, user: UserId) -> worker::Result<Vec<BucketSnapshot>> {
    let found = async { Objects::of(env, user)?.snapshots().await };
    let found = found.await.map_err(|failure| match failure {
        Error::Runtime(error) => error,
        Error::Refused(refusal, _) => worker::Error::RustError(refusal.facts().2.into()),
    })?;
    let stored = found
        .into_iter()
        .map(|(id, stored_at)| snapshot_id(id).map(|id| BucketSnapshot { id, stored_at }));
    stored.collect()
}

/// Writes down which snapshots of `user` are held, beside their repository.
///
/// # Errors
/// When the bucket does not take it.
pub(crate) async fn keep_holds(env: &Env, user: UserId, holds: String) -> worker::Result<()> {
    let bucket = env.bucket(BUCKET_BINDING)?;
    let put = bucket.put(object::holds_key(user), holds);
    put.execute().await.map(drop)
}

/// What was written down of them.
///
/// # Errors
/// When the bucket does not say.
pub(crate) async fn holds(env: &Env, user: UserId) -> worker::Result<Option<String>> {
    let bucket = env.bucket(BUCKET_BINDING)?;
    let found = bucket.get(object::holds_key(user)).execute().await?;
    let found = found.filter(|found| found.size() <= object::MAX_HOLDS_BYTES);
    match found.as_ref().and_then(Object::body) {
        Some(body) => body.text().await.map(Some),
        None => Ok(None),
    }
}

fn snapshot_id(id: ObjectId) -> worker::Result<SnapshotId> {
    let id = id.to_string().parse();
    id.map_err(|reason: &str| worker::Error::RustError(reason.into()))
}

/// An answer of a repository, and what the history has to say about it.
pub(crate) struct Answered {
    pub(crate) response: worker::Result<Response>,
    /// What an operator did, if it was one.
    pub(crate) operator: Option<OperatorCall>,
}

/// What an operator did in somebody's repository. What a run does there is in its bot's history; this would be nowhere.
pub(crate) struct OperatorCall {
    pub(crate) changes: bool,
    pub(crate) refusal: Option<Refusal>,
}

impl From<worker::Result<Response>> for Answered {
    fn from(response: worker::Result<Response>) -> Self {
        Self {
            response,
            operator: None,
        }
    }
}

/// Answers one request to the repository of `user`.
pub(crate) async fn answer(
    request: &mut Request,
    env: &Env,
    settings: &Settings,
    user: UserId,
) -> worker::Result<Answered> {
    let (method, address) = (method_of(request), Address::of(request)?);
    let rest = request::split(&address.path).map_or("", |(_, rest)| rest);
    let operation = match request::read(&method, rest, address.query()) {
        Ok(operation) => operation,
        Err(NotAnOperation::WrongMethod { allow }) => return Ok(reply::wrong_method(request, allow).into()),
        Err(NotAnOperation::NoSuchName) => return Ok(reply::problem(Refusal::BadObjectName, None).into()),
    };
    let bearer = credentials::bearer(request.headers(), &settings.backups).await;
    let by_operator = matches!(bearer, Ok(Bearer::Operator));
    let served = match bearer {
        Ok(bearer) => serve(request, env, user, bearer, operation).await,
        Err(refused) => Err(refused),
    };
    let operator = by_operator.then_some(OperatorCall {
        changes: matches!(
            operation,
            RepositoryOperation::Create | RepositoryOperation::Add(_) | RepositoryOperation::Delete(_)
        ),
        refusal: match &served {
            Ok(_) => None,
            Err(Error::Refused(refusal, _)) => Some(*refusal),
            Err(Error::Runtime(_)) => Some(Refusal::Internal),
        },
    });
    Ok(Answered {
        response: answered(served, user, operation),
        operator,
    })
}

fn answered(
    served: Result<Response>,
    user: UserId,
    operation: RepositoryOperation,
) -> worker::Result<Response> {
    match served {
        Ok(response) => Ok(response),
        Err(Error::Refused(refusal, detail)) => {
            let (_, code, _) = refusal.facts();
            // That something is not there is what a client asks to find out.
            if refusal != Refusal::NoSuchObject {
                log::line(
                    "repository-refused",
                    &[
                        ("user", &user),
                        ("operation", &format!("{operation:?}")),
                        ("code", &code),
                    ],
                );
            }
            reply::problem(refusal, detail)
        }
        Err(Error::Runtime(error)) => Err(error),
    }
}

async fn serve(
    request: &mut Request,
    env: &Env,
    user: UserId,
    bearer: Bearer,
    operation: RepositoryOperation,
) -> Result<Response> {
    if !bearer.may_enter(user) {
        return Err(Refusal::ForeignRepository.into());
    }
    if !bearer.scope().allows(operation) {
        return Err(Refusal::DeletionRefused.into());
    }
    let objects = Objects::of(env, user)?;
    match operation {
        // A bucket has no directories to make.
        RepositoryOperation::Create => done(),
        RepositoryOperation::Renew => renew(env, bearer).await,
        RepositoryOperation::List(kind) => objects.list(kind, request.headers()).await,
        RepositoryOperation::Stat(name) => objects.stat(name).await,
        RepositoryOperation::Read(name) => objects.read(name, request.headers()).await,
        RepositoryOperation::Add(name) => {
            objects.add(name, request).await?;
            done()
        }
        RepositoryOperation::Delete(name) => {
            check_may_forget(env, bearer, name).await?;
            objects.delete(name).await?;
            done()
        }
    }
}

/// What a run was told to spare it learned when it began, and somebody may have pinned a snapshot since.
async fn check_may_forget(env: &Env, bearer: Bearer, name: Name) -> Result<()> {
    let (Bearer::Run(user, run, _), Name::Object(ObjectKind::Snapshots, id)) = (bearer, name) else {
        return Ok(());
    };
    match sandbox_client::may_forget(env, user, run, snapshot_id(id)?).await? {
        true => Ok(()),
        false => Err(Error::Refused(
            Refusal::DeletionRefused,
            Some(format!("snapshot {id} is held, or the run is over")),
        )),
    }
}

/// The Sandbox knows whether the run is the current one, and mints.
async fn renew(env: &Env, bearer: Bearer) -> Result<Response> {
    let Bearer::Run(user, run, scope) = bearer else {
        let detail = "the operator's token is a setting; it does not expire";
        return Err(Error::Refused(
            Refusal::RepositoryTokenRefused,
            Some(detail.into()),
        ));
    };
    let token = sandbox_client::renew_token(env, user, run, scope).await?;
    Ok(reply::document(token.into_text())?)
}

/// Success, with nothing to say.
fn done() -> Result<Response> {
    Ok(reply::bare(200)?.empty())
}
