//! Users, for admins.

use moltworker_core::api::page::{self, PAGE_ROWS};
use moltworker_core::api::sandbox::Order;
use moltworker_core::api::users::{User, UserPage};
use moltworker_core::bot::lifecycle::Authority;
use moltworker_core::http::problem::Refusal;
use moltworker_core::identity::users::UserStatus;
use moltworker_core::user_id::UserId;
use worker::Env;

use crate::alerts;
use crate::api::context::Context;
use crate::http::error::{Error, Result, directory_unavailable};
use crate::identity::users;
use crate::platform::database::{self, Rows, d1_timestamp};
use crate::platform::{clock, log, sandbox_client};

const USER: &str = "user_id, email, role, status, status_by, status_at, created_at, seen_at";

/// A page of users in the order of their ids, from behind `after`.
pub(super) async fn list(ctx: &Context<'_>, after: String) -> Result<UserPage> {
    if !after.is_empty() {
        ctx.audit.note(format!("after {after}"));
    }
    let read = async {
        database::open(ctx.env)?
            .prepare(format!(
                "SELECT {USER} FROM users WHERE user_id > ?1 ORDER BY user_id LIMIT ?2"
            ))
            .bind(&[after.into(), PAGE_ROWS.into()])?
            .rows()
            .await
    };
    let found: Vec<User> = read.await.map_err(directory_unavailable)?;
    let (users, next) = page::cut(found, |last| last.user_id);
    Ok(UserPage { users, next })
}

/// One user.
pub(super) async fn get(ctx: &Context<'_>) -> Result<User> {
    let user = ctx.subject()?;
    let read = async {
        database::open(ctx.env)?
            .prepare(format!("SELECT {USER} FROM users WHERE user_id = ?1"))
            .bind(&[user.to_string().into()])?
            .row::<User>()
            .await
    };
    let found = read.await.map_err(directory_unavailable)?;
    found.ok_or_else(|| Refusal::NoSuchEntry.into())
}

/// Sets a user's status and tells their bot. The bot is the second line: what this isolate and the others remember of the
/// user may be an hour old, the Sandbox's own state never is. So it stops first and is allowed back last; whatever fails in
/// between leaves somebody out, and not in.
pub(super) async fn set_status(ctx: &Context<'_>, status: UserStatus) -> Result<User> {
    let (user, admin) = (ctx.subject()?, ctx.admin()?);
    ctx.audit.note(format!("{} the account", status.verb()));
    status
        .may_be_set(user, admin)
        .map_err(|own| Error::detailed(Refusal::BadRequest, own.to_string()))?;
    get(ctx).await?;
    ctx.audit.begin().await;
    if status.is_closed() {
        order_bot(
            ctx.env,
            user,
            status,
            "nothing was changed, because the bot could not be told; do it again",
        )
        .await?;
    }
    let now = clock::now_ms();
    let update = async {
        database::open(ctx.env)?
            .prepare(format!(
                "UPDATE users SET status = ?2, status_by = ?3, status_at = ?4 WHERE user_id = ?1 RETURNING {USER}"
            ))
            .bind(&[
                user.to_string().into(),
                status.as_str().into(),
                admin.to_string().into(),
                d1_timestamp(now),
            ])?
            .row::<User>()
            .await
    };
    let updated = update.await.map_err(directory_unavailable)?;
    let updated = updated.ok_or(Refusal::NoSuchEntry)?;
    users::cache(user, status, now);
    if status == UserStatus::Deleted
        && let Err(error) = alerts::owner::remove(ctx.env, user).await
    {
        // Nothing is sent there any more all the same; what opens it stays until it is deleted once more.
        log::fault("owner-sink-not-removed", &[("user", &user), ("reason", &error)]);
    }
    if !status.is_closed() {
        order_bot(
            ctx.env,
            user,
            status,
            "the account was changed, but its bot could not be told; do it again",
        )
        .await?;
    }
    Ok(updated)
}

async fn order_bot(env: &Env, user: UserId, status: UserStatus, otherwise: &'static str) -> Result<()> {
    follow_status(env, user, status).await.map_err(|error| {
        log::line("bot-not-told", &[("user", &user), ("reason", &error)]);
        Error::detailed(Refusal::Internal, otherwise)
    })
}

async fn follow_status(env: &Env, user: UserId, status: UserStatus) -> sandbox_client::Result<()> {
    let bot = match status.is_closed() {
        true => None,
        false => Some(sandbox_client::summary(&sandbox_client::status(env, user).await?)?.state),
    };
    let Some(order) = Order::of_status(status, bot) else {
        return Ok(());
    };
    sandbox_client::order(env, user, Authority::Admin, order, false)
        .await
        .map(drop)
}
