//! Calls to a Sandbox: the only way anything reaches one, and the one place where commands are written and answers read.

use std::fmt;

use moltworker_core::api::bot::BotStatusSummary;
use moltworker_core::api::sandbox::{
    COMMAND_HEADER, FileFacts, LogRequest, Order, RawDocument, SandboxAnswer, SandboxCommand,
};
use moltworker_core::api::snapshots::SnapshotCommand;
use moltworker_core::backup::repository::scope::Scope;
use moltworker_core::bot::lifecycle::Authority;
use moltworker_core::cost::limit::LimitChoice;
use moltworker_core::http::problem::Refusal;
use moltworker_core::identity::mfa::{SecondFactor, SecondFactorCommand};
use moltworker_core::identity::session::{Proven, Renewal, SessionCommand, SessionId};
use moltworker_core::jobs::bulk::BulkVerb;
use moltworker_core::settings::SANDBOX_BINDING;
use moltworker_core::user_id::UserId;
use moltworker_core::wire::run::{Run, SnapshotId};
use wasm_bindgen::prelude::*;
use worker::{Env, Error, Headers, Method, Response, Stub, web_sys};

use crate::platform::{bindings, json, outgoing, tasks};

#[wasm_bindgen]
extern "C" {
    /// The namespace in our own words: what goes through `worker`'s stubs is copied on its way in and out.
    type Sandboxes;

    #[wasm_bindgen(method, catch, js_name = getByName)]
    fn get_by_name(this: &Sandboxes, name: &str) -> std::result::Result<PlainStub, JsValue>;

    type PlainStub;

    #[wasm_bindgen(method, catch)]
    fn fetch(
        this: &PlainStub,
        url: &str,
        init: &web_sys::RequestInit,
    ) -> std::result::Result<js_sys::Promise, JsValue>;
}

/// Why a Sandbox did not do something.
#[derive(Debug)]
pub(crate) enum SandboxError {
    /// It says why, for the caller.
    Refused(Refusal, Option<String>),
    /// It could not be reached, or what it said could not be understood.
    Broken(Error),
}

pub(crate) type Result<T> = std::result::Result<T, SandboxError>;

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal, _) => write!(f, "the Sandbox refused: {}", refusal.facts().1),
            Self::Broken(error) => error.fmt(f),
        }
    }
}

impl From<Error> for SandboxError {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl From<SandboxError> for Error {
    fn from(error: SandboxError) -> Self {
        match error {
            SandboxError::Broken(error) => error,
            refused @ SandboxError::Refused(..) => Self::RustError(refused.to_string()),
        }
    }
}

/// What a call about snapshots comes to.
pub(crate) enum SnapshotOutcome {
    /// The list of them.
    List(RawDocument),
    /// The container was told, or will be; the bot's state so far.
    Accepted(RawDocument),
    /// What is in one, as it comes.
    Content(Response),
    /// What there is to say about a file of one.
    File(FileFacts),
    /// A file of one has so many bytes, and not those that were asked for.
    Unsatisfiable(u64),
}

/// The bot's state, a `BotStatus`.
pub(crate) async fn status(env: &Env, user: UserId) -> Result<RawDocument> {
    status_after(env, user, &SandboxCommand::Status).await
}

/// Has the bot do what somebody ordered, with `force` whatever is lost by it; its state afterwards.
pub(crate) async fn order(
    env: &Env,
    user: UserId,
    by: Authority,
    order: Order,
    force: bool,
) -> Result<RawDocument> {
    let command = if force {
        SandboxCommand::Force(by, order)
    } else {
        SandboxCommand::Order(by, order)
    };
    status_after(env, user, &command).await
}

/// What became of an order to many at one bot.
pub(crate) enum BulkDone {
    /// It was ordered.
    Ordered,
    /// An earlier try had done it.
    Before,
    /// There was nothing to be ordered, and why.
    Skipped(String),
}

/// Has the bot do what an admin orders of many. `tried_at` is when that was tried first, if it was.
pub(crate) async fn bulk(env: &Env, user: UserId, verb: BulkVerb, tried_at: Option<u64>) -> Result<BulkDone> {
    match ask(env, user, &SandboxCommand::Bulk(verb, tried_at)).await? {
        SandboxAnswer::Status(_) => Ok(BulkDone::Ordered),
        SandboxAnswer::Done => Ok(BulkDone::Before),
        SandboxAnswer::Skipped(why) => Ok(BulkDone::Skipped(why)),
        other => unexpected(&other),
    }
}

/// Has the Sandbox ask its supervisor now; what cron wants to know of the state it is in then.
pub(crate) async fn poll(env: &Env, user: UserId) -> Result<BotStatusSummary> {
    summary(&status_after(env, user, &SandboxCommand::Poll).await?)
}

/// Has the bot make room for another one, if nothing runs in it.
pub(crate) async fn free_slot(env: &Env, user: UserId) -> Result<BotStatusSummary> {
    summary(&status_after(env, user, &SandboxCommand::FreeSlot).await?)
}

/// What programs of ours read of a bot's state.
pub(crate) fn summary(status: &RawDocument) -> Result<BotStatusSummary> {
    status
        .read()
        .map_err(|error| Error::RustError(error.to_string()).into())
}

/// A call about the bot's snapshots.
pub(crate) async fn snapshots(env: &Env, user: UserId, command: SnapshotCommand) -> Result<SnapshotOutcome> {
    let streams = match &command {
        SnapshotCommand::Browse(..) | SnapshotCommand::Archive(..) | SnapshotCommand::Choose => true,
        SnapshotCommand::Download(_, file) => !file.head,
        _ => false,
    };
    let mut response = send(env, user, &SandboxCommand::Snapshots(command)).await?;
    if streams && matches!(response.status_code(), 200 | 206) {
        return Ok(SnapshotOutcome::Content(response));
    }
    match answer(&mut response).await? {
        SandboxAnswer::Snapshots(list) => Ok(SnapshotOutcome::List(list)),
        SandboxAnswer::Status(status) => Ok(SnapshotOutcome::Accepted(status)),
        SandboxAnswer::File(facts) => Ok(SnapshotOutcome::File(facts)),
        SandboxAnswer::Unsatisfiable(size) => Ok(SnapshotOutcome::Unsatisfiable(size)),
        other => unexpected(&other),
    }
}

/// Lines of the gateway's output, as they come.
pub(crate) async fn logs(env: &Env, user: UserId, wanted: LogRequest) -> Result<Response> {
    stream(env, user, &SandboxCommand::Logs(wanted)).await
}

/// A question or an order that is answered with a document.
pub(crate) async fn document(env: &Env, user: UserId, command: &SandboxCommand) -> Result<RawDocument> {
    match ask(env, user, command).await? {
        SandboxAnswer::Document(document) => Ok(document),
        other => unexpected(&other),
    }
}

/// Something about one of the person's browser sessions that has no answer but its success.
pub(crate) async fn session(env: &Env, user: UserId, command: SessionCommand) -> Result<()> {
    match ask(env, user, &SandboxCommand::Session(command)).await? {
        SandboxAnswer::Done => Ok(()),
        other => unexpected(&other),
    }
}

/// Has one of the person's browser sessions proven anew.
pub(crate) async fn renew_session(env: &Env, user: UserId, id: SessionId) -> Result<Renewal> {
    let command = SandboxCommand::Session(SessionCommand::Renew(id));
    match ask(env, user, &command).await? {
        SandboxAnswer::Renewal(renewal) => Ok(renewal),
        other => unexpected(&other),
    }
}

/// The access token by which one of the person's sessions is proven.
pub(crate) async fn prove_session(env: &Env, user: UserId, id: SessionId) -> Result<Proven> {
    let command = SandboxCommand::Session(SessionCommand::Prove(id));
    match ask(env, user, &command).await? {
        SandboxAnswer::Proven(proven) => Ok(proven),
        other => unexpected(&other),
    }
}

/// Something about the person's second factor.
pub(crate) async fn second_factor(
    env: &Env,
    user: UserId,
    command: SecondFactorCommand,
) -> Result<SecondFactor> {
    match ask(env, user, &SandboxCommand::SecondFactor(command)).await? {
        SandboxAnswer::SecondFactor(outcome) => Ok(outcome),
        other => unexpected(&other),
    }
}

/// A new token for the bot's repository, a `RenewedToken`, if `run` is the current one.
pub(crate) async fn renew_token(env: &Env, user: UserId, run: Run, scope: Scope) -> Result<RawDocument> {
    match ask(env, user, &SandboxCommand::RenewToken(run, scope)).await? {
        SandboxAnswer::Token(token) => Ok(token),
        other => unexpected(&other),
    }
}

/// Whether `run` may delete this snapshot.
pub(crate) async fn may_forget(env: &Env, user: UserId, run: Run, snapshot: SnapshotId) -> Result<bool> {
    match ask(env, user, &SandboxCommand::MayForget(run, snapshot)).await? {
        SandboxAnswer::Permission(permitted) => Ok(permitted),
        other => unexpected(&other),
    }
}

/// Tells the Sandbox what its bot may cost in a month.
pub(crate) async fn set_limit(env: &Env, user: UserId, choice: LimitChoice) -> Result<()> {
    match ask(env, user, &SandboxCommand::Limit(choice)).await? {
        SandboxAnswer::Done => Ok(()),
        other => unexpected(&other),
    }
}

/// The header that marks a request that is to go on to the bot.
///
/// # Errors
/// As [`SandboxCommand::to_text`].
pub(crate) fn mark_to_serve() -> worker::Result<(&'static str, String)> {
    Ok((COMMAND_HEADER, SandboxCommand::Serve.to_text()?))
}

/// Sends a request that is so marked.
pub(crate) async fn serve(
    env: &Env,
    user: UserId,
    url: &str,
    init: &web_sys::RequestInit,
) -> worker::Result<web_sys::Response> {
    let sandboxes: Sandboxes = bindings::get(env, SANDBOX_BINDING)?;
    let promise = sandboxes.get_by_name(&user.sandbox_name())?.fetch(url, init)?;
    Ok(tasks::settled(&promise).await?.unchecked_into())
}

async fn status_after(env: &Env, user: UserId, command: &SandboxCommand) -> Result<RawDocument> {
    match ask(env, user, command).await? {
        SandboxAnswer::Status(status) => Ok(status),
        other => unexpected(&other),
    }
}

/// A command that is answered by a typed answer.
async fn ask(env: &Env, user: UserId, command: &SandboxCommand) -> Result<SandboxAnswer> {
    answer(&mut send(env, user, command).await?).await
}

/// A command that is answered by a stream.
async fn stream(env: &Env, user: UserId, command: &SandboxCommand) -> Result<Response> {
    let mut response = send(env, user, command).await?;
    if response.status_code() == 200 {
        return Ok(response);
    }
    unexpected(&answer(&mut response).await?)
}

async fn answer(response: &mut Response) -> Result<SandboxAnswer> {
    match json::of(response).await? {
        SandboxAnswer::Refused(refusal, detail) => Err(SandboxError::Refused(refusal, detail)),
        answer => Ok(answer),
    }
}

async fn send(env: &Env, user: UserId, command: &SandboxCommand) -> worker::Result<Response> {
    let text = command.to_text()?;
    let request = outgoing::request(&Method::Post, "http://sandbox/", &Headers::new(), Some(&text))?;
    sandbox_of(env, user)?.fetch_with_request(request).await
}

fn sandbox_of(env: &Env, user: UserId) -> worker::Result<Stub> {
    env.durable_object(SANDBOX_BINDING)?
        .id_from_name(&user.sandbox_name())?
        .get_stub()
}

fn unexpected<T>(answer: &SandboxAnswer) -> Result<T> {
    let name = match answer {
        SandboxAnswer::Status(_) => "a state",
        SandboxAnswer::Snapshots(_) => "snapshots",
        SandboxAnswer::SecondFactor(_) => "a second factor",
        SandboxAnswer::Renewal(_) => "a renewal",
        SandboxAnswer::Document(_) => "a document",
        SandboxAnswer::Proven(_) => "a proof",
        SandboxAnswer::Token(_) => "a token",
        SandboxAnswer::Permission(_) => "a permission",
        SandboxAnswer::File(_) => "a file",
        SandboxAnswer::Unsatisfiable(_) => "a size",
        SandboxAnswer::Done => "success",
        SandboxAnswer::Skipped(_) => "that there was nothing to do",
        SandboxAnswer::Refused(..) => "a refusal",
    };
    Err(Error::RustError(format!("the Sandbox answered {name}, which was not the question")).into())
}
