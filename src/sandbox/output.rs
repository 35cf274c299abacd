//! What the gateway wrote last, as its supervisor keeps it: without secrets, and only while the container is up.

use std::rc::Rc;
use std::time::Duration;

use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::control::LOGS_PATH;
use worker::{Method, Result};

use super::Inner;
use super::answer::Reply;
use super::snapshot_calls::{is_success, refused, unanswered};
use crate::http::reply;

/// How long a supervisor may take: it answers from memory.
const DEADLINE: Duration = Duration::from_secs(5);

impl Inner {
    /// The last `lines` lines. Does not wake the bot.
    pub(super) async fn logs(self: &Rc<Self>, lines: u16) -> Result<Reply> {
        self.load().await?;
        let Some(run) = self.run_that_answers() else {
            return Ok(Refusal::BotAsleep.into());
        };
        let path = format!("{LOGS_PATH}?lines={lines}");
        match self.ask_control(run, Method::Get, &path, None, DEADLINE).await {
            Ok(answer) if is_success(answer.status_code()) => {
                let (_, body) = answer.into_parts();
                let text = reply::bare(200)?.with_header("content-type", "text/plain; charset=utf-8")?;
                Ok(Reply::Stream(text.body(body)))
            }
            Ok(answer) => Ok(refused(answer, &[]).await.into()),
            Err(error) => Ok(unanswered(run, &error).into()),
        }
    }
}
