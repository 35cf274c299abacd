//! The Sandbox's orders and questions about the bot's home and its snapshots.
//!
//! What changes something goes to the supervisor's loop. What only reads the repository is answered by a backup
//! process of its own.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use moltworker_core::backup::repository::range::Range;
use moltworker_core::bot::gateway::HomeState;
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::control::{
    MAINTAIN_PATH, QuiesceRequest, RESTORE_PATH, SNAPSHOT_PATH, SNAPSHOTS_PATH,
};
use moltworker_core::wire::home_path::HomePath;
use moltworker_core::wire::job::{BackupJob, FileRequest, MAX_RANGE_HEADER, OrderedJob, ReadJob};
use moltworker_core::wire::run::SnapshotId;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::backup::launcher::{JobLauncher, JobOutput, JobProcess};
use crate::backup::worker::stream::{self, PIECE};
use crate::backup::worker::wire::{FileHead, JobContext, Line};
use crate::control::{Control, Refused, value};
use crate::http::answer;
use crate::http::body::Body;
use crate::supervisor::signals::SupervisorCommand;

/// An order is some hundred bytes; with all that a Sandbox may hold (`MAX_HOLDS`, 67 bytes a piece) it is 670 kB.
const MAX_ORDER: usize = 1024 * 1024;
/// How long a question waits for its turn: longer than most answers take, a second or two, and no page waits longer.
const TURN: Duration = Duration::from_secs(10);
/// Nobody who still reads takes longer for a piece: it has 64 KB, and there are few places for those who read.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);

/// Whether this path is answered here.
pub(crate) fn are_asked(path: &str) -> bool {
    matches!(path, SNAPSHOT_PATH | RESTORE_PATH | MAINTAIN_PATH) || path.starts_with(SNAPSHOTS_PATH)
}

/// Answers one question, or passes one order on.
pub(crate) async fn handle(control: &Control, request: Request<Incoming>) -> Result<Response<Body>, Refused> {
    let Some(launcher) = &control.launcher else {
        return Err((Refusal::NoRepository, None));
    };
    let path = request.uri().path().to_owned();
    match (path.as_str(), request.method()) {
        (SNAPSHOT_PATH | RESTORE_PATH | MAINTAIN_PATH, &Method::POST) => {}
        (_, &Method::GET) => return read_for(launcher, &path, request.uri().query(), false).await,
        (_, &Method::HEAD) => return read_for(launcher, &path, request.uri().query(), true).await,
        _ => return Err((Refusal::WrongMethod, None)),
    }
    let body = Limited::new(request.into_body(), MAX_ORDER).collect().await;
    let body = body.map_err(|error| (Refusal::BadRequest, Some(error.to_string())))?;
    let mut order = OrderedJob::from_request(&path, &body.to_bytes())
        .map_err(|error| (Refusal::BadRequest, Some(error.to_string())))?;
    // That of maintenance is for nothing else. Another is good from now on, whatever becomes of the order it came with.
    if !matches!(order.job, BackupJob::Maintain(_))
        && let Some(token) = order.token.take()
    {
        launcher.set_token(&token);
    }
    let restored = control.account.view.borrow().home == HomeState::Confirmed;
    if matches!(order.job, BackupJob::Snapshot(_)) && !restored {
        return Err((Refusal::NotRestored, None));
    }
    let ordered = control.order(SupervisorCommand::Job(order)).await;
    ordered.map_err(|refusal| (refusal, None))
}

/// Takes the fresh token that comes with a question, if one does.
pub(crate) async fn take_token(control: &Control, request: Request<Incoming>) -> Result<(), Refused> {
    let bad = |detail: String| (Refusal::BadRequest, Some(detail));
    let body = Limited::new(request.into_body(), MAX_ORDER).collect().await;
    let body = body.map_err(|error| bad(error.to_string()))?.to_bytes();
    if body.is_empty() {
        return Ok(());
    }
    // Its words may quote the token.
    let asked: QuiesceRequest =
        serde_json::from_slice(&body).map_err(|_| bad("the body is not that of this question".to_owned()))?;
    if let (Some(launcher), Some(token)) = (&control.launcher, asked.token) {
        launcher.set_token(&token);
    }
    Ok(())
}

/// A process that reads for somebody, and its slot. Whoever wanted it has it, or has gone, when this is dropped.
struct Reader {
    process: JobProcess,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.process.kill();
    }
}

/// Starts one in its turn.
async fn begin(launcher: &Arc<JobLauncher>, job: ReadJob) -> Result<(Reader, JobOutput), Refused> {
    let slot = tokio::time::timeout(TURN, launcher.read_slot())
        .await
        .ok()
        .flatten();
    let slot = slot.ok_or_else(|| failed("others are reading it; try again".to_owned()))?;
    let (process, output) = launcher
        .start(BackupJob::Read(job).into(), JobContext::default())
        .map_err(|error| failed(error.to_string()))?;
    let reader = Reader { process, _slot: slot };
    Ok((reader, output))
}

fn failed(detail: String) -> Refused {
    (Refusal::StorageUnavailable, Some(detail))
}

/// Reads the repository.
async fn read_for(
    launcher: &Arc<JobLauncher>,
    path: &str,
    query: Option<&str>,
    head: bool,
) -> Result<Response<Body>, Refused> {
    let (reader, mut output) = begin(launcher, job(path, query, head)?).await?;
    loop {
        return match output.next_line().await {
            Err(stalled) => Err(failed(stalled.to_string())),
            Ok(Some(Line::Token(renewed))) => {
                launcher.store_renewed(renewed);
                continue;
            }
            Ok(Some(Line::Unlocked(unlocked))) => {
                launcher.store_unlocked(unlocked);
                continue;
            }
            Ok(Some(Line::Note(_) | Line::Progress(_) | Line::Moves(..) | Line::HeldUp(_))) => continue,
            Ok(Some(Line::Snapshots(snapshots))) => Ok(answer::json(&snapshots)),
            Ok(Some(Line::Entries(length))) => Ok(listing(reader, output, length)),
            Ok(Some(Line::File(file))) => Ok(download(reader, output, &file, head)),
            Ok(Some(Line::Unsatisfiable(size))) => Ok(unsatisfiable(size)),
            Ok(Some(Line::Archive)) => Ok(archive(reader, output)),
            Ok(Some(Line::Refused(refusal, detail))) => Err((refusal, Some(detail))),
            Ok(Some(Line::Failed(message))) => Err(failed(message)),
            _ => Err(failed("the backup process ended before it was done".to_owned())),
        };
    }
}

/// What is to be read.
fn job(path: &str, query: Option<&str>, head: bool) -> Result<ReadJob, Refused> {
    let below = path.strip_prefix(SNAPSHOTS_PATH).unwrap_or_default();
    let mut parts = below.split('/').skip(1);
    let bad = |reason: &str| (Refusal::BadRequest, Some(reason.to_owned()));
    let (id, what) = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) if below.is_empty() && !head => return Ok(ReadJob::Snapshots),
        (Some(id), Some(what), None) if what == "file" || !head => (id, what),
        (Some(_), Some(_), None) => return Err((Refusal::WrongMethod, None)),
        _ => return Err((Refusal::NotFound, None)),
    };
    let decoded = |name: &str| HomePath::decode(value(query, name).unwrap_or_default());
    let located = || {
        let id: SnapshotId = id.parse().map_err(bad)?;
        let path = decoded("path").ok_or_else(|| bad("`path` is not percent-encoded"))?;
        Ok((id, path))
    };
    let header = |name: &str| {
        let text = decoded(name)?.to_string();
        (!text.is_empty() && text.len() <= MAX_RANGE_HEADER).then_some(text)
    };
    match what {
        "files" => located().map(|(id, path)| ReadJob::Directory(id, path)),
        "archive" => located().map(|(id, path)| ReadJob::Archive(id, path)),
        "file" => located().map(|(id, path)| {
            let (range, if_range) = (header("range"), header("if_range"));
            let request = FileRequest {
                path,
                range,
                if_range,
                head,
            };
            ReadJob::File(id, request)
        }),
        _ => Err((Refusal::NotFound, None)),
    }
}

/// What is read, on its way to whoever asked for it.
type Pieces = mpsc::Sender<io::Result<Bytes>>;

/// Hands a piece on. Whoever reads goes on with it, if there is somebody who takes it in time; else `reader` is over at once, and
/// who still waits learns that it broke off.
async fn hand_on<R>(reader: R, pieces: &Pieces, piece: io::Result<Bytes>, within: Duration) -> Option<R> {
    let broken = piece.is_err();
    match tokio::time::timeout(within, pieces.send(piece)).await {
        Ok(sent) => (sent.is_ok() && !broken).then_some(reader),
        Err(_) => {
            drop(reader);
            let _ = pieces.send(Err(io::ErrorKind::TimedOut.into())).await;
            None
        }
    }
}

/// Passes so many bytes on as they come.
async fn pass_on(mut reader: Reader, output: JobOutput, pieces: Pieces, length: u64) {
    let (mut rest, patience) = output.rest();
    let mut left = length;
    while left > 0 {
        let next = tokio::time::timeout(patience, piece(&mut rest, left)).await;
        let next = next.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let count = next.as_ref().map_or(0, Bytes::len);
        left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        let Some(still) = hand_on(reader, &pieces, next, TAKEN_WITHIN).await else {
            return;
        };
        reader = still;
    }
}

/// Passes on what is in a directory.
fn listing(reader: Reader, output: JobOutput, length: u64) -> Response<Body> {
    let (pieces, read) = mpsc::channel(1);
    tokio::spawn(pass_on(reader, output, pieces, length));
    let mut response = answer::bytes(read);
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Passes a file on as it comes, or what was wanted of it.
fn download(reader: Reader, output: JobOutput, file: &FileHead, head: bool) -> Response<Body> {
    let length = file.part.map_or(file.size, |(_, length)| length);
    let (pieces, read) = mpsc::channel(1);
    if !head {
        tokio::spawn(pass_on(reader, output, pieces, length));
    }
    let mut response = answer::bytes(read);
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Ok(tag) = HeaderValue::from_str(&file.tag) {
        headers.insert(ETAG, tag);
    }
    if let Some(part) = file.part
        && let Ok(range) = HeaderValue::from_str(&Range::content_range(part, file.size))
    {
        headers.insert(CONTENT_RANGE, range);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

/// Some bytes, of which so many are to come.
async fn piece(from: &mut (impl AsyncRead + Unpin), left: u64) -> io::Result<Bytes> {
    let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
    let mut piece = vec![0; most];
    let count = from.read(&mut piece).await?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    piece.truncate(count);
    Ok(piece.into())
}

fn unsatisfiable(size: u64) -> Response<Body> {
    let detail = format!("it has {size} bytes");
    let mut response = answer::explain(Refusal::BadRange, Some(detail));
    if let Ok(range) = HeaderValue::from_str(&format!("bytes */{size}")) {
        response.headers_mut().insert(CONTENT_RANGE, range);
    }
    response
}

/// Passes a directory on as it comes.
fn archive(mut reader: Reader, output: JobOutput) -> Response<Body> {
    let (pieces, read) = mpsc::channel(1);
    tokio::spawn(async move {
        let (mut rest, patience) = output.rest();
        loop {
            let next = tokio::time::timeout(patience, stream::next(&mut rest)).await;
            let next = next.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            let Some(next) = next.transpose() else { break };
            let next = next.map(Bytes::from);
            let Some(still) = hand_on(reader, &pieces, next, TAKEN_WITHIN).await else {
                return;
            };
            reader = still;
        }
        drop(reader);
    });
    answer::bytes(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_home_paths_are_handled() {
        assert!(are_asked("/v1/snapshot") && are_asked("/v1/snapshots/x/files"));
        assert!(!are_asked("/v1/status") && !are_asked("/v1/restart"));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn who_takes_nothing_holds_up_nobody_and_gets_no_whole_answer() {
        let (pieces, mut read) = mpsc::channel(1);
        let within = Duration::from_millis(20);
        let (place, is_free) = tokio::sync::oneshot::channel::<()>();
        let place = hand_on(place, &pieces, Ok("one".into()), within).await.unwrap();
        let second = tokio::spawn(async move {
            let held = hand_on(place, &pieces, Ok("two".into()), within).await;
            held.is_some()
        });
        // The place is free although nothing was taken and nobody has gone.
        let is_free = tokio::time::timeout(Duration::from_secs(10), is_free).await;
        assert!(is_free.unwrap().is_err());
        assert_eq!(read.recv().await.unwrap().unwrap(), "one");
        let end = read.recv().await.unwrap().unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::TimedOut);
        assert!(!second.await.unwrap());
    }

    #[test]
    fn a_question_is_read_or_refused() {
        let id = "ab".repeat(32);
        let at = |what: &str| format!("/v1/snapshots/{id}/{what}");
        let asked = job(&at("file"), Some("path=a%FF&range=bytes%3D0-1"), true);
        let ReadJob::File(_, request) = asked.unwrap() else {
            panic!("a file");
        };
        assert_eq!(request.path.as_bytes(), b"a\xff");
        assert_eq!(
            (request.range.as_deref(), request.head),
            (Some("bytes=0-1"), true)
        );
        let long = format!("range={}", "x".repeat(MAX_RANGE_HEADER + 1));
        let ReadJob::File(_, request) = job(&at("file"), Some(&long), false).unwrap() else {
            panic!("a file");
        };
        assert_eq!(request.range, None);
        for (path, query, head, refusal) in [
            (at("file"), "path=%zz", false, Refusal::BadRequest),
            (at("archive"), "", true, Refusal::WrongMethod),
            (at("all"), "", false, Refusal::NotFound),
            ("/v1/snapshots/x/files".into(), "", false, Refusal::BadRequest),
            ("/v1/snapshots".into(), "", true, Refusal::NotFound),
        ] {
            assert_eq!(
                job(&path, Some(query), head).unwrap_err().0,
                refusal,
                "{path}?{query}"
            );
        }
    }
}
