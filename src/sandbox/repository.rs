//! What a run is given to reach its bot's snapshots.

use moltworker_core::api::sandbox::{RawDocument, RenewedToken, SandboxAnswer};
use moltworker_core::backup::repository::scope::Scope;
use moltworker_core::backup::repository::token::Claims;
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::run::{RepositoryAccess, RepositoryToken, RestorePoint, Run, SnapshotId};
use worker::Result;

use super::Inner;
use super::store::Store;
use crate::platform::clock;
use crate::repository::credentials;

impl Inner {
    /// Everything `run` needs to restore and to take snapshots, with a token that only adds.
    pub(super) async fn repository_access(
        &self,
        run: Run,
        restore: RestorePoint,
    ) -> Result<RepositoryAccess> {
        let (user, backups) = (self.user()?, &self.settings()?.backups);
        let (token, _) = self.mint(run, Scope::Append).await?;
        let newest = backups.keys.newest().version;
        self.update_backup_state(|backup_state| backup_state.give_key(run, newest))?;
        Ok(RepositoryAccess {
            url: backups.repository_url(user),
            token,
            passwords: credentials::passwords(user, &backups.keys).await?,
            restore,
        })
    }

    /// A new token for `run`, if it is the current one and its container lives.
    pub(super) async fn renew_token(&self, run: Run, scope: Scope) -> Result<SandboxAnswer> {
        let alive = self
            .state
            .container()
            .is_some_and(|container| container.running());
        if !(alive && self.life().is_of(run)) {
            return Ok(Refusal::RunOver.into());
        }
        let (token, expires_at) = self.mint(run, scope).await?;
        let token = RenewedToken {
            token: token.reveal().to_owned(),
            expires_at,
        };
        Ok(SandboxAnswer::Token(RawDocument::of(&token)?))
    }

    /// Whether `run` may delete this snapshot.
    pub(super) fn may_forget(&self, run: Run, snapshot: &SnapshotId) -> Result<bool> {
        let store = Store::open(&self.state)?;
        let verified = store.backup_state()?.verified().cloned();
        let mut spared = store.held(clock::now_ms())?.into_iter().chain(verified);
        Ok(self.life().is_of(run) && !spared.any(|id| id == *snapshot))
    }

    /// What an order brings for the rest of `run`: the token it has may have expired while it could not be renewed.
    pub(super) async fn fresh_token(&self, run: Run) -> Result<Option<RepositoryToken>> {
        self.mint(run, Scope::Append).await.map(|(token, _)| Some(token))
    }

    /// A token that opens this bot's repository to `run` for an hour, and when that hour is over.
    pub(super) async fn mint(&self, run: Run, scope: Scope) -> Result<(RepositoryToken, u64)> {
        let claims = Claims::minted(clock::now_ms(), self.user()?, run, scope);
        let token = credentials::mint(&claims, &self.settings()?.backups.keys).await?;
        Ok((token, claims.expires_at))
    }
}
