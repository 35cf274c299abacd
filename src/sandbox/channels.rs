//! The channels of the gateway: it tells how they are, and its config says which there are.

use std::rc::Rc;
use std::time::Duration;

use moltworker_core::api::channels::{ChannelCall, ChannelCommand};
use moltworker_core::api::config::ConfigCommand;
use moltworker_core::api::sandbox::{RawDocument, SandboxAnswer};
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::channels::{CHANNELS_PATH, ChannelList, MAX_CHANNELS_BYTES};
use worker::{Method, Result};

use super::Inner;
use super::snapshot_calls::{is_success, refused, unanswered};
use crate::platform::{clock, json};

/// The supervisor gives its gateway fifteen seconds to try its channels.
const DEADLINE: Duration = Duration::from_secs(20);

impl Inner {
    /// Answers one command. Does not wake the bot.
    pub(super) async fn channels(self: &Rc<Self>, command: ChannelCommand) -> Result<SandboxAnswer> {
        self.load().await?;
        let ChannelCommand::Change(by, patch) = command else {
            return self.tried_channels().await;
        };
        let config = match self.config(ConfigCommand::Patch(by, patch)).await? {
            SandboxAnswer::Document(config) => config,
            instead => return Ok(instead),
        };
        // It is changed: that the gateway does not tell how its channels are is no reason to say that it was not.
        match self.tried_channels().await? {
            told @ SandboxAnswer::Document(_) => Ok(told),
            _ => {
                let list = ChannelList::of_config(&config.into_text());
                Ok(SandboxAnswer::Document(RawDocument::of(&list)?))
            }
        }
    }

    async fn tried_channels(&self) -> Result<SandboxAnswer> {
        let Some(run) = self.run_that_answers() else {
            return Ok(Refusal::BotAsleep.into());
        };
        let asked = self
            .ask_control(run, Method::Get, CHANNELS_PATH, None, DEADLINE)
            .await;
        let mut answer = match asked {
            Ok(answer) if is_success(answer.status_code()) => answer,
            Ok(answer) => return Ok(refused(answer, ChannelCall::List.problems()).await),
            Err(error) => return Ok(unanswered(run, &error)),
        };
        let read = json::within::<ChannelList>(&mut answer, MAX_CHANNELS_BYTES);
        match clock::within(DEADLINE, read).await {
            Ok(mut list) => {
                list.bound();
                Ok(SandboxAnswer::Document(RawDocument::of(&list)?))
            }
            Err(error) => Ok(unanswered(run, &error)),
        }
    }
}
