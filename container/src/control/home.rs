//! The Sandbox's orders and questions about the bot's home and its snapshots.
//!
//! What changes something goes to the supervisor's loop. What only reads the repository is answered by a backup
//! process of its own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::{Method, Request, Response};
use moltworker_core::bot::gateway::HomeState;
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::control::{MAINTAIN_PATH, RESTORE_PATH, SNAPSHOT_PATH, SNAPSHOTS_PATH};
use moltworker_core::wire::job::{BackupJob, OrderedJob, ReadJob};
use moltworker_core::wire::run::SnapshotId;
use tokio::io::AsyncReadExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::backup::launcher::{JobLauncher, JobOutput, JobProcess};
use crate::backup::worker::wire::{JobContext, Line};
use crate::control::{Control, value};
use crate::http::answer;
use crate::http::body::Body;
use crate::supervisor::signals::SupervisorCommand;

/// An order is some hundred bytes; with a thousand pins it is 70 KB.
const MAX_ORDER: usize = 128 * 1024;
/// A file is passed on in pieces of this size.
const PIECE: usize = 64 * 1024;

/// How long a question waits for its turn: longer than most answers take, a second or two, and no page waits longer.
const TURN: Duration = Duration::from_secs(10);

type Refused = (Refusal, Option<String>);

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
        (_, &Method::GET) => return read_for(launcher, &path, request.uri().query()).await,
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
) -> Result<Response<Body>, Refused> {
    let below = path.strip_prefix(SNAPSHOTS_PATH).unwrap_or_default();
    let mut parts = below.split('/').skip(1);
    let job = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) if below.is_empty() => ReadJob::Snapshots,
        (Some(id), Some(what @ ("files" | "file")), None) => {
            let bad = |reason: &str| (Refusal::BadRequest, Some(reason.to_owned()));
            let id: SnapshotId = id.parse().map_err(bad)?;
            let path = decoded(value(query, "path").unwrap_or_default());
            let path = path.ok_or_else(|| bad("`path` is not percent-encoded UTF-8"))?;
            if what == "files" {
                ReadJob::Directory(id, path)
            } else {
                ReadJob::File(id, path)
            }
        }
        _ => return Err((Refusal::NotFound, None)),
    };
    let (reader, mut output) = begin(launcher, job).await?;
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
            Ok(Some(Line::Entries(entries))) => Ok(answer::json(&entries)),
            Ok(Some(Line::File(length))) => Ok(file(reader, output, length)),
            Ok(Some(Line::Refused(refusal, detail))) => Err((refusal, Some(detail))),
            Ok(Some(Line::Failed(message))) => Err(failed(message)),
            _ => Err(failed("the backup process ended before it was done".to_owned())),
        };
    }
}

/// Passes a file on as it comes. One that breaks off is shorter than announced, so that nobody takes it for whole.
fn file(reader: Reader, output: JobOutput, length: u64) -> Response<Body> {
    let (pieces, read) = mpsc::channel(1);
    tokio::spawn(async move {
        let (rest, patience) = output.rest();
        let mut file = rest.take(length);
        let mut left = length;
        let mut piece = vec![0; PIECE];
        while left > 0
            && let Ok(Ok(count @ 1..)) = tokio::time::timeout(patience, file.read(&mut piece)).await
        {
            let bytes = piece.get(..count).map(Bytes::copy_from_slice).unwrap_or_default();
            left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
            if pieces.send(bytes).await.is_err() {
                break;
            }
        }
        drop(reader);
    });
    let mut response = answer::file(read);
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}

/// A percent-encoded path.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (high, low) = (rest.next()?, rest.next()?);
            let digits = [high, low];
            let digits = std::str::from_utf8(&digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_or_refused() {
        assert_eq!(decoded("a%20b/%C3%A4"), Some("a b/ä".into()));
        assert_eq!(decoded(""), Some(String::new()));
        for bad in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_home_paths_are_handled() {
        assert!(are_asked("/v1/snapshot") && are_asked("/v1/snapshots/x/files"));
        assert!(!are_asked("/v1/status") && !are_asked("/v1/restart"));
    }
}
