//! What is in a bot's snapshots: its container reads that, and it passes through here as it comes. Whatever it is, no browser
//! shows it as a page.

use moltworker_core::api::sandbox::{FileFacts, SandboxAnswer};
use moltworker_core::api::snapshots::SnapshotCall;
use moltworker_core::backup::repository::range::Range;
use moltworker_core::http::download::{attachment, is_tag};
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::control::SNAPSHOTS_PATH;
use moltworker_core::wire::home_path::HomePath;
use moltworker_core::wire::job::FileRequest;
use moltworker_core::wire::run::SnapshotId;
use worker::{Method, Response, ResponseBuilder, Result};

use super::Inner;
use super::answer::Reply;
use super::snapshot_calls::{READ_DEADLINE, is_success, refused, unanswered};
use crate::http::reply;

/// What a container answers, or what is said in its place.
type Read = std::result::Result<Response, SandboxAnswer>;

impl Inner {
    /// What is in a directory.
    pub(super) async fn browse(&self, id: &SnapshotId, path: &HomePath) -> Result<Reply> {
        let asked = format!("{id}/files?path={}", path.encoded());
        let answer = match self.read(Method::Get, &asked, SnapshotCall::Browse).await {
            Ok(answer) => answer,
            Err(instead) => return Ok(instead.into()),
        };
        let began = reply::bare(200)?.with_header("content-type", "application/json")?;
        let began = match length(&answer)? {
            Some(length) => began.with_header("content-length", &length.to_string())?,
            None => began,
        };
        Ok(pass(began, answer))
    }

    /// A directory with all that is below it.
    pub(super) async fn archive(&self, id: &SnapshotId, path: &HomePath) -> Result<Reply> {
        let asked = format!("{id}/archive?path={}", path.encoded());
        match self.read(Method::Get, &asked, SnapshotCall::Archive).await {
            Ok(answer) => Ok(pass(reply::attachment(200, &attachment(path, ".tar"))?, answer)),
            Err(instead) => Ok(instead.into()),
        }
    }

    /// A file, or part of it, or what there is to say about it.
    pub(super) async fn download(&self, id: &SnapshotId, file: &FileRequest) -> Result<Reply> {
        let mut asked = format!("{id}/file?path={}", file.path.encoded());
        for (name, value) in [("range", &file.range), ("if_range", &file.if_range)] {
            if let Some(value) = value {
                asked.push_str(&format!("&{name}={}", HomePath::of(value.as_str()).encoded()));
            }
        }
        let method = if file.head { Method::Head } else { Method::Get };
        let answer = match self.read(method, &asked, SnapshotCall::Download).await {
            Ok(answer) => answer,
            Err(instead) => return Ok(instead.into()),
        };
        let disposition = attachment(&file.path, "");
        let length = length(&answer)?;
        // An older supervisor says none.
        let tag = answer.headers().get("etag")?.filter(|tag| is_tag(tag));
        if file.head {
            let size = length.unwrap_or_default();
            let facts = FileFacts {
                size,
                tag,
                disposition,
            };
            return Ok(SandboxAnswer::File(facts).into());
        }
        let part = answer.headers().get("content-range")?;
        let part = part.filter(|part| answer.status_code() == 206 && Range::is_content_range(part));
        let status = if part.is_some() { 206 } else { 200 };
        let mut began = reply::attachment(status, &disposition)?.with_header("accept-ranges", "bytes")?;
        let length = length.map(|length| length.to_string());
        for (name, value) in [("etag", tag), ("content-range", part), ("content-length", length)] {
            if let Some(value) = value {
                began = began.with_header(name, &value)?;
            }
        }
        Ok(pass(began, answer))
    }

    /// Has the container read it.
    async fn read(&self, method: Method, asked: &str, call: SnapshotCall) -> Read {
        let Some(run) = self.run_that_answers() else {
            return Err(Refusal::BotAsleep.into());
        };
        let place = format!("{SNAPSHOTS_PATH}/{asked}");
        match self.ask_control(run, method, &place, None, READ_DEADLINE).await {
            Ok(answer) if is_success(answer.status_code()) => Ok(answer),
            Ok(answer) => {
                let range = answer.headers().get("content-range").ok().flatten();
                match range.and_then(|range| Range::size_in(&range)) {
                    Some(size) => Err(SandboxAnswer::Unsatisfiable(size)),
                    None => Err(refused(answer, call.problems()).await),
                }
            }
            Err(error) => Err(unanswered(run, &error)),
        }
    }
}

fn pass(began: ResponseBuilder, answer: Response) -> Reply {
    let (_, body) = answer.into_parts();
    Reply::Stream(began.body(body))
}

fn length(answer: &Response) -> Result<Option<u64>> {
    let length = answer.headers().get("content-length")?;
    Ok(length.and_then(|length| length.parse().ok()))
}
