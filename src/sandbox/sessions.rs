//! The person's browser sessions: their tokens, kept sealed, and renewed by one request at a time.
//!
//! A refresh token works once. Supabase forgives a second use for ten seconds and when the answer to the first
//! one was lost, but both are settings of the project, and thirty requests of a page that comes back from sleep
//! would run into its rate limit. All of a person's requests meet in this object, so here the first one spends
//! the token, and the others wait and get what came of it.

use std::cell::Cell;
use std::time::Duration;

use futures::lock::{Mutex, MutexGuard};
use moltworker_core::api::sandbox::SandboxAnswer;
use moltworker_core::identity::session::{
    COOKIE_SECONDS, MAX_SESSIONS, Proven, Renewal, SessionCommand, SessionId, Standing, Tokens,
};
use moltworker_core::identity::token::Identity;
use serde::Deserialize;
use worker::{Result, SqlStorageValue};

use super::Inner;
use super::store::Store;
use crate::identity::auth_api::{self, Grant, Granted};
use crate::identity::{caller, sealed};
use crate::platform::json;
use crate::platform::{clock, log};

/// What the tokens are sealed for; distinct from every cookie.
const PURPOSE: &str = "session-tokens";
/// How long a request waits for another one's renewal: longer than the provider may take, so that it is a
/// guard against a renewal that never returns, not a limit of its own.
const WAIT: Duration = Duration::from_secs(20);
/// Seconds after which a session may be renewed again while it still holds. Projects may let access tokens
/// live for less than the time before their end at which sessions are renewed.
const RENEW_PAUSE_SECONDS: u64 = 10;
/// Milliseconds after a failure for which the provider is not asked again: who waited gets its answer too.
const FAILURE_PAUSE_MS: u64 = 2_000;

/// One renewal at a time.
#[derive(Default)]
pub(super) struct Renewing {
    turn: Mutex<()>,
    failed_at: Cell<Option<u64>>,
}

#[derive(Deserialize)]
struct SessionRow {
    identity: String,
    tokens: String,
    renewed_at: u64,
}

#[derive(Deserialize)]
struct Updated {
    #[serde(rename = "renewed_at")]
    _renewed_at: u64,
}

impl Inner {
    /// Does what the Worker wants about one session.
    pub(super) async fn session(&self, command: SessionCommand) -> Result<SandboxAnswer> {
        Ok(match command {
            SessionCommand::Begin { id, identity, tokens } => {
                self.save_session(&id, &identity, &tokens).await?;
                SandboxAnswer::Done
            }
            SessionCommand::Renew(id) => SandboxAnswer::Renewal(self.renew_session(&id).await?),
            SessionCommand::Prove(id) => SandboxAnswer::Proven(self.prove_session(&id).await?),
            SessionCommand::End(id) => {
                self.end_session(&id).await?;
                SandboxAnswer::Done
            }
        })
    }

    /// Waits until nobody else is about to spend one of the person's tokens.
    pub(super) async fn session_turn(&self) -> Result<MutexGuard<'_, ()>> {
        let turn = async { Ok(self.renewing.turn.lock().await) };
        clock::within(WAIT, turn).await
    }

    pub(super) async fn renew_session(&self, id: &SessionId) -> Result<Renewal> {
        let Ok(_turn) = self.session_turn().await else {
            return Ok(Renewal::Unavailable);
        };
        let Some((identity, tokens, renewed_at)) = self.load_session(id).await? else {
            return Ok(Renewal::Ended);
        };
        let now = clock::now_seconds();
        let standing = identity.standing(now);
        let just_renewed =
            standing == Standing::Ending && now < renewed_at.saturating_add(RENEW_PAUSE_SECONDS);
        if standing == Standing::Good || just_renewed {
            return Ok(Renewal::Renewed(identity));
        }
        let just_failed = |at| clock::now_ms().saturating_sub(at) < FAILURE_PAUSE_MS;
        if self.renewing.failed_at.get().is_some_and(just_failed) {
            return Ok(Renewal::Unavailable);
        }
        let renewal = match self.spend(id, &tokens).await {
            Ok(renewal) => renewal,
            Err(error) => {
                log::line(
                    "session-not-renewed",
                    &[("user", &identity.user), ("reason", &error)],
                );
                Renewal::Unavailable
            }
        };
        let failed = matches!(renewal, Renewal::Unavailable);
        self.renewing.failed_at.set(failed.then(clock::now_ms));
        Ok(renewal)
    }

    /// The token that proves a session, renewed if it has nearly ended.
    async fn prove_session(&self, id: &SessionId) -> Result<Proven> {
        let renewal = self.renew_session(id).await?;
        if matches!(renewal, Renewal::Ended) {
            return Ok(Proven::Ended);
        }
        Ok(match self.load_session(id).await? {
            // Also one that ends soon, while the provider cannot be asked for the next one.
            Some((identity, tokens, _)) if identity.standing(clock::now_seconds()) != Standing::Ended => {
                let access_token = tokens.access_token;
                Proven::By {
                    identity,
                    access_token,
                }
            }
            Some(_) => Proven::Unavailable,
            None => Proven::Ended,
        })
    }

    /// Exchanges the refresh token for the next pair.
    async fn spend(&self, id: &SessionId, tokens: &Tokens) -> Result<Renewal> {
        let settings = self.settings()?;
        let grant = Grant::Refresh {
            token: &tokens.refresh_token,
        };
        let tokens = match auth_api::exchange(settings, None, grant).await? {
            Granted::Tokens(tokens, _) => tokens,
            Granted::TooMany => return Ok(Renewal::Unavailable),
            Granted::Refused => {
                self.forget_session(id)?;
                return Ok(Renewal::Ended);
            }
        };
        let Ok(identity) = caller::access_token(&tokens.access_token, settings).await else {
            // The old token is spent. Keep the new one: the reason (a key not yet published, say) may pass.
            let Some((identity, ..)) = self.load_session(id).await? else {
                return Ok(Renewal::Ended);
            };
            self.update_session(id, &identity, &tokens).await?;
            return Ok(Renewal::Unavailable);
        };
        if identity.user != self.user()? {
            self.forget_session(id)?;
            return Ok(Renewal::Ended);
        }
        // A sign-out that came meanwhile wins.
        Ok(if self.update_session(id, &identity, &tokens).await? {
            Renewal::Renewed(identity)
        } else {
            Renewal::Ended
        })
    }

    /// Forgets a session first, then has the provider revoke it: if that fails, nobody has its token any more.
    async fn end_session(&self, id: &SessionId) -> Result<()> {
        let Some((identity, mut tokens, _)) = self.load_session(id).await? else {
            return Ok(());
        };
        self.forget_session(id)?;
        let settings = self.settings()?;
        let revoked = async {
            // The provider takes a sign-out only from a valid access token.
            if identity.standing(clock::now_seconds()) == Standing::Ended {
                let grant = Grant::Refresh {
                    token: &tokens.refresh_token,
                };
                match auth_api::exchange(settings, None, grant).await? {
                    Granted::Tokens(fresh, _) => tokens = fresh,
                    Granted::Refused | Granted::TooMany => return Ok(()),
                }
            }
            auth_api::revoke(settings, &tokens.access_token).await
        };
        if let Err(error) = revoked.await {
            log::line(
                "session-not-revoked",
                &[("user", &identity.user), ("reason", &error)],
            );
        }
        Ok(())
    }

    /// `None` also for one whose tokens were sealed with another key.
    pub(super) async fn load_session(&self, id: &SessionId) -> Result<Option<(Identity, Tokens, u64)>> {
        let statement = "SELECT identity, tokens, renewed_at FROM sessions WHERE id = ?";
        let row: Option<SessionRow> = Store::open(&self.state)?.one(statement, vec![id.as_str().into()])?;
        let Some(row) = row else { return Ok(None) };
        let Some(tokens) = sealed::open(self.settings()?, PURPOSE, &row.tokens).await else {
            return Ok(None);
        };
        Ok(Some((json::read(&row.identity)?, tokens, row.renewed_at)))
    }

    async fn save_session(&self, id: &SessionId, identity: &Identity, tokens: &Tokens) -> Result<()> {
        let sealed = sealed::seal(self.settings()?, PURPOSE, tokens).await?;
        let now = clock::now_seconds();
        let store = Store::open(&self.state)?;
        store.exec(
            "INSERT OR REPLACE INTO sessions (id, identity, tokens, renewed_at) VALUES (?, ?, ?, ?)",
            vec![
                id.as_str().into(),
                serde_json::to_string(identity)?.into(),
                sealed.into(),
                seconds(now)?,
            ],
        )?;
        store.exec(
            "DELETE FROM sessions WHERE renewed_at < ? OR id NOT IN (SELECT id FROM sessions ORDER BY renewed_at DESC LIMIT ?)",
            vec![
                seconds(now.saturating_sub(COOKIE_SECONDS))?,
                SqlStorageValue::try_from_i64(i64::from(MAX_SESSIONS))?,
            ],
        )
    }

    /// `false` when it was forgotten meanwhile.
    pub(super) async fn update_session(
        &self,
        id: &SessionId,
        identity: &Identity,
        tokens: &Tokens,
    ) -> Result<bool> {
        let sealed = sealed::seal(self.settings()?, PURPOSE, tokens).await?;
        let updated: Option<Updated> = Store::open(&self.state)?.one(
            "UPDATE sessions SET identity = ?, tokens = ?, renewed_at = ? WHERE id = ? RETURNING renewed_at",
            vec![
                serde_json::to_string(identity)?.into(),
                sealed.into(),
                seconds(clock::now_seconds())?,
                id.as_str().into(),
            ],
        )?;
        Ok(updated.is_some())
    }

    fn forget_session(&self, id: &SessionId) -> Result<()> {
        Store::open(&self.state)?.exec("DELETE FROM sessions WHERE id = ?", vec![id.as_str().into()])
    }
}

/// A time in seconds, as a column takes it.
pub(super) fn seconds(time: u64) -> Result<SqlStorageValue> {
    SqlStorageValue::try_from_i64(i64::try_from(time).unwrap_or(i64::MAX))
}
