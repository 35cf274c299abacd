//! Personal access tokens: made, listed, revoked, and looked up with each request that brings one.

use moltworker_core::api::personal_tokens::{NewPersonalToken, PersonalToken};
use moltworker_core::hex;
use moltworker_core::http::problem::Refusal;
use moltworker_core::identity::personal_token::{
    ID_BYTES, MAX_TOKENS, Recorded, SECRET_BYTES, TokenScope, write,
};
use moltworker_core::identity::session_handoff::Opaque;
use moltworker_core::identity::token::Identity;
use moltworker_core::user_id::UserId;
use worker::Env;

use crate::platform::database::{self, Rows, d1_timestamp};
use crate::platform::{clock, log, webcrypto};

const COLUMNS: &str = "token_id AS id, name, scope, created_at, expires_at, used_at";

/// Whose token this is and what it is good for, if it is one.
///
/// The database is asked each time. What an isolate remembered would go on opening what its owner has revoked
/// elsewhere; and devices that have a token keep one connection open, so they come seldom.
///
/// # Errors
/// [`Refusal::TokenRefused`], [`Refusal::TokenExpired`], that its owner is not let in, or
/// [`Refusal::DirectoryUnavailable`]: while nobody can say that it was not revoked, it opens nothing.
pub(crate) async fn find(env: &Env, token: &str) -> Result<(Identity, Recorded), Refusal> {
    let found = look_up(env, token).await.map_err(|error| {
        log::fault("personal-tokens-unavailable", &[("reason", &error)]);
        Refusal::DirectoryUnavailable
    })?;
    let Some(recorded) = found else {
        log::line(
            "token-refused",
            &[("reason", &"there is no such personal token (any more)")],
        );
        return Err(Refusal::TokenRefused);
    };
    let now = clock::now_ms();
    recorded.check(now)?;
    if recorded.is_used_anew(now)
        && let Err(error) = record_use(env, &recorded.token_id, now).await
    {
        log::fault("token-use-not-written", &[("reason", &error)]);
    }
    let identity = Identity {
        user: recorded.user_id,
        // As it is recorded, so that nothing about the person changes by this. No admin's endpoint takes the token.
        admin: recorded.role == "admin",
        email: None,
        mfa: recorded.mfa != 0,
        expires_at: recorded.expires_at / 1_000,
    };
    Ok((identity, recorded))
}

async fn look_up(env: &Env, token: &str) -> worker::Result<Option<Recorded>> {
    database::open(env)?
        .prepare(
            "SELECT t.token_id, t.user_id, t.scope, t.expires_at, t.used_at, t.mfa, u.status, u.role \
             FROM personal_tokens t JOIN users u ON u.user_id = t.user_id WHERE t.hash = ?1",
        )
        .bind(&[hash(token).await?.as_str().into()])?
        .row()
        .await
}

async fn record_use(env: &Env, id: &str, now: u64) -> worker::Result<()> {
    database::open(env)?
        .prepare("UPDATE personal_tokens SET used_at = ?2 WHERE token_id = ?1")
        .bind(&[id.into(), d1_timestamp(now)])?
        .run()
        .await
        .map(drop)
}

async fn hash(token: &str) -> worker::Result<Opaque> {
    Ok(Opaque::of(&webcrypto::sha256(token.as_bytes()).await?))
}

/// The id of a token that is to be made: its owner's name for it, and no secret.
pub(crate) fn new_id() -> worker::Result<String> {
    Ok(hex::encode(&webcrypto::random_bytes(ID_BYTES)?))
}

/// Makes one for somebody who has or has not proven a second factor (`mfa`); `None` if they have as many as one may have.
/// Those that have ended make room.
pub(crate) async fn create(
    env: &Env,
    user: UserId,
    mfa: bool,
    entry: PersonalToken,
) -> worker::Result<Option<NewPersonalToken>> {
    let token = write(&webcrypto::random_bytes(SECRET_BYTES)?);
    let database = database::open(env)?;
    let owner = user.to_string();
    let clean = database
        .prepare("DELETE FROM personal_tokens WHERE user_id = ?1 AND expires_at <= ?2")
        .bind(&[owner.as_str().into(), d1_timestamp(entry.created_at)])?;
    // Counted and added in one statement, so that two requests at once add not one too many.
    let insert = database
        .prepare(
            "INSERT INTO personal_tokens (token_id, hash, user_id, name, scope, created_at, expires_at, mfa) \
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?9 \
             WHERE (SELECT count(*) FROM personal_tokens WHERE user_id = ?3) < ?8",
        )
        .bind(&[
            entry.id.as_str().into(),
            hash(&token).await?.as_str().into(),
            owner.as_str().into(),
            entry.name.as_str().into(),
            TokenScope::as_str(entry.scope).into(),
            d1_timestamp(entry.created_at),
            d1_timestamp(entry.expires_at),
            MAX_TOKENS.into(),
            u32::from(mfa).into(),
        ])?;
    database.batch(vec![clean, insert]).await?;
    let made = list(env, user).await?.into_iter().any(|made| made.id == entry.id);
    Ok(made.then_some(NewPersonalToken { token, entry }))
}

/// All of a person's, the newest first.
pub(crate) async fn list(env: &Env, user: UserId) -> worker::Result<Vec<PersonalToken>> {
    database::open(env)?
        .prepare(format!(
            "SELECT {COLUMNS} FROM personal_tokens WHERE user_id = ?1 ORDER BY created_at DESC, token_id"
        ))
        .bind(&[user.to_string().into()])?
        .rows()
        .await
}

/// Revokes one of a person's; `None` if they have none of that id.
pub(crate) async fn revoke(env: &Env, user: UserId, id: &str) -> worker::Result<Option<PersonalToken>> {
    database::open(env)?
        .prepare(format!(
            "DELETE FROM personal_tokens WHERE user_id = ?1 AND token_id = ?2 RETURNING {COLUMNS}"
        ))
        .bind(&[user.to_string().into(), id.into()])?
        .row()
        .await
}
