//! The devices that may reach the gateway, as it tells its supervisor. What it says is a stranger's word.

use std::rc::Rc;
use std::time::Duration;

use moltworker_core::api::devices::DeviceCommand;
use moltworker_core::api::sandbox::{RawDocument, SandboxAnswer};
use moltworker_core::http::problem::Refusal;
use moltworker_core::json;
use moltworker_core::wire::devices::{DeviceList, MAX_DEVICES_BYTES};
use worker::{Method, Result};

use super::Inner;
use super::snapshot_calls::{is_success, refused, unanswered};
use crate::platform::clock;
use crate::platform::json::within;

/// The supervisor asks its gateway at most twice, for four seconds each.
const DEADLINE: Duration = Duration::from_secs(12);

impl Inner {
    /// Answers one command. Does not wake the bot.
    pub(super) async fn devices(self: &Rc<Self>, command: DeviceCommand) -> Result<SandboxAnswer> {
        self.load().await?;
        let Some(run) = self.run_that_answers() else {
            return Ok(Refusal::BotAsleep.into());
        };
        let DeviceCommand { call, id } = command;
        let (method, body) = match &id {
            Some(id) => (Method::Post, Some(json::object(&[("id", id)]))),
            None => (Method::Get, None),
        };
        let asked = self.ask_control(run, method, &call.path(), body, DEADLINE).await;
        let mut answer = match asked {
            Ok(answer) if is_success(answer.status_code()) => answer,
            Ok(answer) => return Ok(refused(answer, call.problems()).await),
            Err(error) => return Ok(unanswered(run, &error)),
        };
        let read = within::<DeviceList>(&mut answer, MAX_DEVICES_BYTES);
        match clock::within(DEADLINE, read).await {
            Ok(mut list) => {
                list.bound();
                Ok(SandboxAnswer::Document(RawDocument::of(&list)?))
            }
            Err(error) => Ok(unanswered(run, &error)),
        }
    }
}
