//! Whose turn it is: bots are taken for the queue, claimed by whoever tries them, and come to an end once.

use moltworker_core::identity::users::UserStatus;
use moltworker_core::jobs::bulk::{BulkOutcome, BulkVerb, CLAIM_MS, LOST_MS, MAX_TRIES};
use moltworker_core::jobs::message::{Job, MAX_PER_TICK};
use moltworker_core::user_id::UserId;
use serde::Deserialize;
use worker::{Env, Result};

use crate::platform::database::{self, Rows, d1_timestamp, text_or_null};
use crate::platform::{clock, queue};

/// An order that is under way.
#[derive(Deserialize)]
pub(crate) struct Ordered {
    pub(crate) verb: BulkVerb,
    pub(crate) ordered_by: UserId,
}

/// A bot whose turn it is.
#[derive(Deserialize)]
pub(crate) struct Claimed {
    tries: u32,
    first_claimed_at: u64,
    account: Option<UserStatus>,
}

impl Claimed {
    /// When it was tried first, if this is not the first time.
    pub(crate) fn tried_at(&self) -> Option<u64> {
        (self.tries > 1).then_some(self.first_claimed_at)
    }

    /// Whether its owner is let in.
    pub(crate) fn is_of_somebody_active(&self) -> bool {
        self.account.is_none_or(|account| account == UserStatus::Active)
    }
}

#[derive(Deserialize)]
struct DueRow {
    order_id: u32,
    user_id: UserId,
}

#[derive(Deserialize)]
struct UserRow {
    user_id: UserId,
}

#[derive(Deserialize)]
struct Found {}

fn before(ms: u64) -> u64 {
    clock::now_ms().saturating_sub(ms)
}

/// Brings to an end what will not come to one by itself, in every order that is under way. Whether there is one.
pub(crate) async fn settle(env: &Env) -> Result<bool> {
    let database = database::open(env)?;
    let open = database
        .prepare("SELECT 1 AS found FROM bulk_orders WHERE finished_at IS NULL AND bots > 0 LIMIT 1")
        .row::<Found>()
        .await?;
    if open.is_none() {
        return Ok(false);
    }
    let (now, lapsed) = (d1_timestamp(clock::now_ms()), d1_timestamp(before(CLAIM_MS)));
    database
        .prepare(format!(
            "UPDATE bulk_bots SET outcome = ?1, detail = 'it was tried {MAX_TRIES} times and came to no end', done_at = ?2 \
             WHERE outcome IS NULL AND claimed_at <= ?3 AND tries >= {MAX_TRIES}"
        ))
        .bind(&[
            BulkOutcome::Failed.as_str().into(),
            now.clone(),
            lapsed.clone(),
        ])?
        .run()
        .await?;
    database
        .prepare(
            "UPDATE bulk_bots SET outcome = ?1, done_at = ?2 WHERE outcome IS NULL AND claimed_at <= ?3 \
             AND order_id IN (SELECT id FROM bulk_orders WHERE finished_at IS NULL AND stopped_at IS NOT NULL)",
        )
        .bind(&[BulkOutcome::Stopped.as_str().into(), now, lapsed])?
        .run()
        .await?;
    finish(env).await?;
    Ok(true)
}

/// Writes down which orders have come to their end, and how.
pub(crate) async fn finish(env: &Env) -> Result<()> {
    database::open(env)?
        .prepare(
            "UPDATE bulk_orders SET finished_at = ?1, results = (SELECT json_group_object(outcome, bots_of) FROM \
             (SELECT outcome, count(*) AS bots_of FROM bulk_bots WHERE order_id = bulk_orders.id GROUP BY outcome)) \
             WHERE finished_at IS NULL AND bots > 0 AND NOT EXISTS \
             (SELECT 1 FROM bulk_bots WHERE order_id = bulk_orders.id AND outcome IS NULL)",
        )
        .bind(&[d1_timestamp(clock::now_ms())])?
        .run()
        .await
        .map(drop)
}

/// Takes at most so many bots whose turn is to come: those that no message has, or one that is lost. Of two who do so at once each
/// gets its own.
pub(crate) async fn take(env: &Env, most: u32) -> Result<Vec<(u32, UserId)>> {
    let found: Vec<DueRow> = database::open(env)?
        .prepare(
            "SELECT order_id, user_id FROM bulk_bots JOIN bulk_orders ON bulk_orders.id = bulk_bots.order_id \
             WHERE outcome IS NULL AND queued_at <= ?1 AND claimed_at <= ?2 AND bots > 0 AND stopped_at IS NULL \
             ORDER BY order_id, user_id LIMIT ?3",
        )
        .bind(&[
            d1_timestamp(before(LOST_MS)),
            d1_timestamp(before(CLAIM_MS)),
            most.into(),
        ])?
        .rows()
        .await?;
    let mut taken = Vec::new();
    for of_one in found.chunk_by(|one, next| one.order_id == next.order_id) {
        let Some(DueRow { order_id, .. }) = of_one.first() else {
            continue;
        };
        let users: Vec<UserId> = of_one.iter().map(|row| row.user_id).collect();
        let mut users = queued(env, *order_id, &users, Some(before(LOST_MS))).await?;
        users.sort_unstable();
        taken.extend(users.into_iter().map(|user| (*order_id, user)));
    }
    Ok(taken)
}

/// Writes down that bots are on the queue from now on, unless they have been since then; or, without that, that they are not. Which
/// that was so for.
async fn queued(env: &Env, order: u32, users: &[UserId], not_since: Option<u64>) -> Result<Vec<UserId>> {
    let at = not_since.map_or(0, |_| clock::now_ms());
    let rows: Vec<UserRow> = database::open(env)?
        .prepare(
            "UPDATE bulk_bots SET queued_at = ?3 WHERE order_id = ?1 AND user_id IN (SELECT value FROM json_each(?2)) \
             AND outcome IS NULL AND queued_at <= ?4 RETURNING user_id",
        )
        .bind(&[
            order.into(),
            serde_json::to_string(users)?.into(),
            d1_timestamp(at),
            d1_timestamp(not_since.unwrap_or_else(clock::now_ms)),
        ])?
        .rows()
        .await?;
    Ok(rows.into_iter().map(|row| row.user_id).collect())
}

/// Puts on the queue whose turn is to come.
///
/// # Errors
/// Where it does not take them, their turn is still to come.
pub(crate) async fn enqueue(env: &Env) -> Result<()> {
    let taken = take(env, MAX_PER_TICK).await?;
    if taken.is_empty() {
        return Ok(());
    }
    let sent = queue::send(env, &Job::of_orders(&taken)).await;
    if sent.is_err() {
        release(env, &taken).await?;
    }
    sent
}

/// No message has them after all.
async fn release(env: &Env, taken: &[(u32, UserId)]) -> Result<()> {
    for of_one in taken.chunk_by(|(one, _), (next, _)| one == next) {
        let Some((order, _)) = of_one.first() else {
            continue;
        };
        let users: Vec<UserId> = of_one.iter().map(|(_, user)| *user).collect();
        queued(env, *order, &users, None).await?;
    }
    Ok(())
}

/// An order, while it is under way.
pub(crate) async fn of(env: &Env, order: u32) -> Result<Option<Ordered>> {
    database::open(env)?
        .prepare(
            "SELECT verb, ordered_by FROM bulk_orders WHERE id = ?1 AND finished_at IS NULL AND stopped_at IS NULL",
        )
        .bind(&[order.into()])?
        .row()
        .await
}

/// Takes a bot for oneself, unless it is done, somebody else tries it, or its order was stopped.
pub(crate) async fn claim(env: &Env, order: u32, user: UserId) -> Result<Option<Claimed>> {
    database::open(env)?
        .prepare(format!(
            "UPDATE bulk_bots SET claimed_at = ?3, tries = tries + 1, first_claimed_at = coalesce(first_claimed_at, ?3) \
             WHERE order_id = ?1 AND user_id = ?2 AND outcome IS NULL AND claimed_at <= ?4 AND tries < {MAX_TRIES} \
             AND EXISTS (SELECT 1 FROM bulk_orders WHERE id = ?1 AND stopped_at IS NULL) \
             RETURNING tries, first_claimed_at, \
             (SELECT status FROM users WHERE users.user_id = bulk_bots.user_id) AS account"
        ))
        .bind(&[
            order.into(),
            user.to_string().into(),
            d1_timestamp(clock::now_ms()),
            d1_timestamp(before(CLAIM_MS)),
        ])?
        .row()
        .await
}

/// Writes down what became of a bot; false where it had come to an end before.
pub(crate) async fn close(
    env: &Env,
    order: u32,
    user: UserId,
    outcome: BulkOutcome,
    detail: Option<&str>,
) -> Result<bool> {
    let closed = database::open(env)?
        .prepare(
            "UPDATE bulk_bots SET outcome = ?3, detail = ?4, done_at = ?5 \
             WHERE order_id = ?1 AND user_id = ?2 AND outcome IS NULL RETURNING 1 AS found",
        )
        .bind(&[
            order.into(),
            user.to_string().into(),
            outcome.as_str().into(),
            text_or_null(detail),
            d1_timestamp(clock::now_ms()),
        ])?
        .row::<Found>()
        .await?;
    Ok(closed.is_some())
}
