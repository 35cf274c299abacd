//! The config of the gateway, which its supervisor reads and changes, and the way back from each change: the config before it,
//! sealed, because secrets stand in it.

use std::rc::Rc;
use std::time::Duration;

use moltworker_core::api::config::{
    BotConfig, ConfigAuthor, ConfigCall, ConfigChange, ConfigCommand, ConfigHistory, MAX_CONFIG_CHANGES,
};
use moltworker_core::api::sandbox::{RawDocument, SandboxAnswer};
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::config::{CONFIG_PATH, ChangedConfig, MAX_CONFIG_ANSWER_BYTES, ShownConfig};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use worker::{Method, Result};

use super::Inner;
use super::snapshot_calls::{is_success, refused, unanswered};
use super::store::{Store, sql_integer};
use crate::identity::sealed;
use crate::platform::{clock, json, log};

/// What the configs are sealed for.
const PURPOSE: &str = "config-before-change";
/// A process of the supervisor's reads the file, up to three times, and the gateway puts a change into force, for which it has
/// twenty seconds.
const DEADLINE: Duration = Duration::from_secs(60);
/// Paths that a change may be said to have, and characters of one: as a supervisor bounds them.
const MAX_PATHS: usize = 20;
const MAX_PATH: usize = 200;

#[derive(Deserialize)]
struct ChangeRow {
    id: u32,
    made_at: u64,
    author: String,
    paths: String,
    rolled_back: Option<u32>,
}

#[derive(Deserialize)]
struct SealedRow {
    before: Option<String>,
}

impl Inner {
    /// Answers one command. Does not wake the bot.
    pub(super) async fn config(self: &Rc<Self>, command: ConfigCommand) -> Result<SandboxAnswer> {
        self.load().await?;
        match command {
            ConfigCommand::List => self.config_changes(),
            ConfigCommand::Read => {
                let call = ConfigCall::Read;
                let shown = self.ask_config::<ShownConfig>(Method::Get, None, call).await?;
                match shown {
                    Ok(shown) => shown_answer(shown),
                    Err(instead) => Ok(instead),
                }
            }
            ConfigCommand::Patch(by, patch) => {
                self.change_config(by, Method::Post, patch.into_text(), ConfigCall::Patch, None)
                    .await
            }
            ConfigCommand::RollBack(by, id) => {
                let statement = "SELECT before FROM config_changes WHERE id = ?";
                let row: Option<SealedRow> =
                    Store::open(&self.state)?.one(statement, vec![i64::from(id).into()])?;
                let Some(sealed) = row.and_then(|row| row.before) else {
                    return Ok(Refusal::NoSuchEntry.into());
                };
                let Some(before) = sealed::open::<String>(self.settings()?, PURPOSE, &sealed).await else {
                    let why = "it was sealed with a SESSION_KEY that this deployment does not have any more";
                    return Ok(SandboxAnswer::Refused(Refusal::NoSuchEntry, Some(why.to_owned())));
                };
                self.change_config(by, Method::Put, before, ConfigCall::RollBack, Some(id))
                    .await
            }
        }
    }

    async fn change_config(
        self: &Rc<Self>,
        by: ConfigAuthor,
        method: Method,
        body: String,
        call: ConfigCall,
        rolled_back: Option<u32>,
    ) -> Result<SandboxAnswer> {
        let asked = self.ask_config::<ChangedConfig>(method, Some(body), call).await?;
        let changed = match asked {
            Ok(changed) => changed,
            Err(instead) => return Ok(instead),
        };
        if !changed.paths.is_empty() || changed.before.is_none() {
            // It is made: that there is no way back is no reason to say that it was not.
            if let Err(error) = self.keep_config_change(by, &changed, rolled_back).await {
                log::fault("config-change-not-kept", &[("reason", &error)]);
            }
        }
        shown_answer(changed.now)
    }

    async fn keep_config_change(
        &self,
        by: ConfigAuthor,
        changed: &ChangedConfig,
        rolled_back: Option<u32>,
    ) -> Result<()> {
        let before = match &changed.before {
            Some(before) => Some(sealed::seal(self.settings()?, PURPOSE, before).await?),
            None => None,
        };
        let paths = changed.paths.iter().take(MAX_PATHS);
        let paths: Vec<String> = paths.map(|path| path.chars().take(MAX_PATH).collect()).collect();
        let store = Store::open(&self.state)?;
        store.exec(
            "INSERT INTO config_changes (made_at, author, paths, rolled_back, before) VALUES (?, ?, ?, ?, ?)",
            vec![
                sql_integer(clock::now_ms())?,
                serde_json::to_string(&by)?.into(),
                serde_json::to_string(&paths)?.into(),
                rolled_back.map(i64::from).into(),
                before.into(),
            ],
        )?;
        store.exec(
            "DELETE FROM config_changes WHERE id NOT IN (SELECT id FROM config_changes ORDER BY id DESC LIMIT ?)",
            vec![i64::from(MAX_CONFIG_CHANGES).into()],
        )
    }

    fn config_changes(&self) -> Result<SandboxAnswer> {
        let statement = "SELECT id, made_at, author, paths, rolled_back FROM config_changes ORDER BY id DESC";
        let rows: Vec<ChangeRow> = Store::open(&self.state)?.all(statement, vec![])?;
        let changes = rows.into_iter().map(|row| {
            let author: ConfigAuthor = json::read(&row.author)?;
            Ok(ConfigChange {
                id: row.id,
                at: row.made_at,
                by: author.user,
                by_admin: author.is_admin,
                paths: json::read(&row.paths)?,
                rolled_back: row.rolled_back,
            })
        });
        let history = ConfigHistory {
            changes: changes.collect::<Result<_>>()?,
        };
        Ok(SandboxAnswer::Document(RawDocument::of(&history)?))
    }

    /// What the supervisor answers, or what is said in its place.
    async fn ask_config<T: DeserializeOwned>(
        &self,
        method: Method,
        body: Option<String>,
        call: ConfigCall,
    ) -> Result<std::result::Result<T, SandboxAnswer>> {
        let Some(run) = self.run_that_answers() else {
            return Ok(Err(Refusal::BotAsleep.into()));
        };
        let asked = self.ask_control(run, method, CONFIG_PATH, body, DEADLINE).await;
        let mut answer = match asked {
            Ok(answer) if is_success(answer.status_code()) => answer,
            Ok(answer) => return Ok(Err(refused(answer, call.problems()).await)),
            Err(error) => return Ok(Err(unanswered(run, &error))),
        };
        let read = json::within(&mut answer, MAX_CONFIG_ANSWER_BYTES);
        let read = clock::within(DEADLINE, read).await;
        Ok(read.map_err(|error| unanswered(run, &error)))
    }
}

fn shown_answer(shown: ShownConfig) -> Result<SandboxAnswer> {
    let config = BotConfig::of_container(shown.config, shown.digest);
    Ok(match config {
        Some(config) => SandboxAnswer::Document(RawDocument::of_text(config.text())),
        None => Refusal::ConfigUnreadable.into(),
    })
}
