//! Has bots that sleep for what they have spent looked at, after the operator's limit has changed. Whom is decided in
//! `core::jobs::limit_review`.

use moltworker_core::bot::incidents::IncidentKind;
use moltworker_core::cost::money::Money;
use moltworker_core::jobs::limit_review::{AskNext, LimitReview};
use moltworker_core::user_id::UserId;
use serde::Deserialize;
use worker::{D1Database, Env, Result};

use crate::platform::database::Rows;
use crate::platform::{configuration, json, log};

#[derive(Deserialize)]
struct Stored {
    document: String,
}

#[derive(Deserialize)]
struct SpentRow {
    user_id: UserId,
}

/// Bots that are to be looked at, and what is to be remembered once they are on their way.
#[derive(Default)]
pub(super) struct Review {
    pub(super) users: Vec<UserId>,
    after: Option<LimitReview>,
}

impl Review {
    /// At most so many bots that are to be asked at this tick.
    pub(super) async fn of_tick(env: &Env, database: &D1Database, most: usize) -> Self {
        Self::read(env, database, most).await.unwrap_or_else(|error| {
            log::fault("limits-not-reviewed", &[("reason", &error)]);
            Self::default()
        })
    }

    async fn read(env: &Env, database: &D1Database, most: usize) -> Result<Self> {
        let Ok(settings) = configuration::read(env) else {
            return Ok(Self::default());
        };
        let limit: Option<Money> = settings.cost.monthly_limit;
        let stored = database
            .prepare("SELECT document FROM limit_review")
            .row::<Stored>()
            .await?;
        // What another version has written counts as nothing.
        let stored = stored.and_then(|row| json::read::<LimitReview>(&row.document).ok());
        let behind = match LimitReview::next(stored.as_ref(), limit) {
            AskNext::Nobody => return Ok(Self::default()),
            AskNext::All => String::new(),
            AskNext::Behind(last) => last.to_string(),
        };
        let rows = database
            .prepare(
                "SELECT user_id FROM bots WHERE incidents <> '[]' AND awake = 0 AND user_id > ?1 AND EXISTS \
                 (SELECT 1 FROM json_each(bots.incidents) WHERE value IN (?2, ?3)) ORDER BY user_id LIMIT ?4",
            )
            .bind(&[
                behind.into(),
                IncidentKind::SpendNearLimit.as_str().into(),
                IncidentKind::SpendOverLimit.as_str().into(),
                u32::try_from(most).unwrap_or(u32::MAX).into(),
            ])?
            .rows::<SpentRow>()
            .await?;
        let users: Vec<UserId> = rows.into_iter().map(|row| row.user_id).collect();
        Ok(Self {
            after: Some(LimitReview::asked(limit, &users, most)),
            users,
        })
    }

    /// They are on their way.
    pub(super) async fn remember(&self, database: &D1Database) {
        let Some(after) = &self.after else { return };
        let written = async {
            database
                .prepare("INSERT OR REPLACE INTO limit_review (id, document) VALUES (1, ?1)")
                .bind(&[serde_json::to_string(after)?.into()])?
                .run()
                .await
        };
        if let Err(error) = written.await {
            log::fault("limits-not-reviewed", &[("reason", &error)]);
        }
    }
}
