//! What the gateway wrote last, as its supervisor keeps it: without secrets, and only while the container is up. And what runs
//! beside it.

use std::rc::Rc;
use std::time::Duration;

use moltworker_core::api::processes::{BotProcesses, MAX_PROCESSES_BYTES};
use moltworker_core::api::sandbox::{LogRequest, RawDocument, SandboxAnswer};
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::control::{LOGS_PATH, PROCESSES_PATH, Process};
use worker::{Method, Result};

use super::Inner;
use super::answer::Reply;
use super::snapshot_calls::{is_success, refused, unanswered};
use crate::http::reply;

/// How long a supervisor may take: it answers from memory, or from what the kernel keeps there.
const DEADLINE: Duration = Duration::from_secs(5);

impl Inner {
    /// The lines that are wanted. Does not wake the bot, and keeps it awake no longer: the supervisor ends what follows them with
    /// itself, and no request of the owner's is open for it.
    pub(super) async fn logs(self: &Rc<Self>, wanted: &LogRequest) -> Result<Reply> {
        self.load().await?;
        let Some(run) = self.run_that_answers() else {
            return Ok(Refusal::BotAsleep.into());
        };
        let mut path = format!("{LOGS_PATH}?lines={}", wanted.lines);
        if let Some(contains) = &wanted.contains {
            path.push_str(&format!("&contains={}", contains.encoded()));
        }
        if wanted.follow {
            path.push_str("&follow=1");
            if wanted.by_admin {
                path.push_str("&admin=1");
            }
        }
        match self.ask_control(run, Method::Get, &path, None, DEADLINE).await {
            Ok(answer) if is_success(answer.status_code()) => {
                let (_, body) = answer.into_parts();
                let text = reply::bare(200)?.with_header("content-type", "text/plain; charset=utf-8")?;
                Ok(Reply::Stream(text.body(body)))
            }
            Ok(answer) => Ok(refused(answer, &[Refusal::TooMany]).await.into()),
            Err(error) => Ok(unanswered(run, &error).into()),
        }
    }

    /// What runs in the container. Does not wake the bot.
    pub(super) async fn processes(self: &Rc<Self>) -> Result<SandboxAnswer> {
        self.load().await?;
        let Some(run) = self.run_that_answers() else {
            return Ok(Refusal::BotAsleep.into());
        };
        let processes: Result<Vec<Process>> = self
            .read_control(run, PROCESSES_PATH, DEADLINE, MAX_PROCESSES_BYTES)
            .await;
        let told = match (processes, self.ask_supervisor(run).await) {
            (Ok(processes), Ok(status)) => {
                BotProcesses::new(processes, status.processes, status.memory, status.disk)
            }
            (Err(error), _) | (_, Err(error)) => return Ok(unanswered(run, &error)),
        };
        Ok(SandboxAnswer::Document(RawDocument::of(&told)?))
    }
}
