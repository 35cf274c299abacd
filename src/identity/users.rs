//! Who may come in: the table of users, read once a minute per user and isolate, and who may become one.

use std::cell::RefCell;

use moltworker_core::bot::history::{Actor, HistoryKind};
use moltworker_core::http::problem::Refusal;
use moltworker_core::identity::cache::Cache;
use moltworker_core::identity::token::Identity;
use moltworker_core::identity::users::{AllowListEntry, Freshness, Read, SignUp, UserStatus, entries_for};
use moltworker_core::settings::{AccessSettings, Settings};
use moltworker_core::user_id::UserId;
use serde::Deserialize;
use worker::{D1Database, Env};

use crate::http::call::Called;
use crate::platform::database::{self, Rows, d1_timestamp, text_or_null};
use crate::platform::history::{self, HistoryEntry};
use crate::platform::{clock, log};

/// How old `seen_at` may get before it is written again: exact to the hour is enough for people, and a write
/// per request would cost more than the bot.
const SEEN_AGAIN_AFTER_MS: u64 = 60 * 60 * 1_000;

/// A failed sign-in is one event of an account in this time, in milliseconds, from wherever and however often it is tried:
/// whoever guesses passwords can so add 24 rows a day to somebody's history, beside the twenty a bot leaves.
const FAILED_SIGN_IN_AGAIN_AFTER_MS: u64 = 60 * 60 * 1_000;

thread_local! {
    static KNOWN: RefCell<Cache<UserId, UserStatus>> = const { RefCell::new(Cache::new()) };
}

#[derive(Deserialize)]
struct UserRow {
    email: Option<String>,
    role: String,
    status: UserStatus,
    seen_at: u64,
}

/// Whether this person is an admin: their token says so, or the operator.
pub(crate) fn is_admin(identity: &Identity, access: &AccessSettings) -> bool {
    identity.admin || access.admin_user_ids.contains(&identity.user)
}

/// Lets a person in whose identity is proven, or says why not. Makes a user of them at their first visit, if
/// the policy allows it.
///
/// # Errors
/// [`Refusal::NotInvited`], [`Refusal::AccountSuspended`], [`Refusal::AccountDeleted`], or
/// [`Refusal::DirectoryUnavailable`] for somebody nothing is known about while the database is away. Who was
/// read as active within the hour goes on meanwhile.
pub(crate) async fn admit(
    env: &Env,
    called: Called<'_>,
    identity: &Identity,
    settings: &Settings,
    freshness: Freshness,
) -> Result<(), Refusal> {
    let now = clock::now_ms();
    let known = KNOWN.with_borrow(|known| known.get(&identity.user));
    let status = match known.and_then(|read| read.fresh(now, freshness)) {
        Some(status) => status,
        None => match look_up(env, called, identity, &settings.access, now).await {
            Ok(Some(status)) => {
                cache(identity.user, status, now);
                status
            }
            Ok(None) => {
                log::line("not-invited", &[("user", &identity.user)]);
                return Err(Refusal::NotInvited);
            }
            Err(error) => {
                log::fault("users-unavailable", &[("reason", &error)]);
                let status = known.and_then(|read| read.without_database(now));
                status.ok_or(Refusal::DirectoryUnavailable)?
            }
        },
    };
    status.refusal().map_or(Ok(()), Err)
}

/// What this isolate is to believe from now on, because it was just written.
pub(crate) fn cache(user: UserId, status: UserStatus, now: u64) {
    let read = Read {
        value: status,
        at: now,
    };
    KNOWN.with_borrow_mut(|known| known.put(user, read));
}

/// The user's status, or `None` if they are no user and may not become one.
async fn look_up(
    env: &Env,
    called: Called<'_>,
    identity: &Identity,
    access: &AccessSettings,
    now: u64,
) -> worker::Result<Option<UserStatus>> {
    let database = database::open(env)?;
    let role = if is_admin(identity, access) {
        "admin"
    } else {
        "user"
    };
    let row = database
        .prepare("SELECT email, role, status, seen_at FROM users WHERE user_id = ?1")
        .bind(&[identity.user.to_string().into()])?
        .row::<UserRow>()
        .await?;
    if let Some(row) = row {
        let changed = row.role != role || (identity.email.is_some() && row.email != identity.email);
        if changed || now >= row.seen_at.saturating_add(SEEN_AGAIN_AFTER_MS) {
            record_user(&database, identity, role, now).await?;
        }
        if row.role != role {
            record_change(env, called, identity, &format!("role {role}, was {}", row.role)).await?;
        }
        return Ok(Some(row.status));
    }
    let admitted = match role {
        "admin" => Some("as an admin".to_owned()),
        _ => may_sign_up(&database, identity, access, now).await?,
    };
    let Some(by) = admitted else {
        return Ok(None);
    };
    record_user(&database, identity, role, now).await?;
    record_change(env, called, identity, &format!("became a user {by}")).await?;
    Ok(Some(UserStatus::Active))
}

/// An event about what a call changed of its caller's account, beside what it was for.
async fn record_change(
    env: &Env,
    called: Called<'_>,
    identity: &Identity,
    detail: &str,
) -> worker::Result<()> {
    let change = HistoryEntry {
        user: Some(identity.user),
        run: None,
        kind: HistoryKind::Changed,
        actor: Actor::Owner,
        detail: Some(detail),
        call: Some(&called.facts()?),
        outcome: None,
    };
    history::record(env, &change).await;
    Ok(())
}

/// Makes the row or brings it up to date; never touches the status.
async fn record_user(database: &D1Database, identity: &Identity, role: &str, now: u64) -> worker::Result<()> {
    database
        .prepare(
            "INSERT INTO users (user_id, email, role, created_at, seen_at) VALUES (?1, ?2, ?3, ?4, ?4) \
             ON CONFLICT (user_id) DO UPDATE SET email = coalesce(?2, email), role = ?3, seen_at = ?4",
        )
        .bind(&[
            identity.user.to_string().into(),
            text_or_null(identity.email.as_deref()),
            role.into(),
            d1_timestamp(now),
        ])?
        .run()
        .await?;
    Ok(())
}

#[derive(Deserialize)]
struct UserIdRow {
    user_id: UserId,
}

/// Notes that somebody did not get into the account of this e-mail address, and says in whose histories that is to be
/// written. Counted in the database and in one statement, because isolates that know nothing of each other are asked.
pub(crate) async fn note_failed_sign_in(env: &Env, email: &str, now: u64) -> worker::Result<Vec<UserId>> {
    let rows = database::open(env)?
        .prepare(
            "UPDATE users SET failed_sign_in_at = ?2 \
             WHERE lower(email) = lower(?1) AND status <> ?4 \
             AND coalesce(failed_sign_in_at, 0) <= ?3 RETURNING user_id",
        )
        .bind(&[
            email.into(),
            d1_timestamp(now),
            d1_timestamp(now.saturating_sub(FAILED_SIGN_IN_AGAIN_AFTER_MS)),
            UserStatus::Deleted.as_str().into(),
        ])?
        .rows::<UserIdRow>()
        .await?;
    Ok(rows.into_iter().map(|row| row.user_id).collect())
}

/// By what somebody may become a user, in the history's words, if they may.
async fn may_sign_up(
    database: &D1Database,
    identity: &Identity,
    access: &AccessSettings,
    now: u64,
) -> worker::Result<Option<String>> {
    let entries = entries_for(identity.user, identity.email.as_deref());
    let listed = |entry: &AllowListEntry| access.allow_list.contains(entry);
    match access.sign_up {
        SignUp::Open => return Ok(Some("because anybody may".to_owned())),
        SignUp::AllowList => {
            let listed = entries.iter().find(|entry| listed(entry));
            let found = match listed {
                Some(entry) => Some(entry.to_string()),
                None => on_allow_list(database, &entries).await?,
            };
            if let Some(entry) = found {
                return Ok(Some(format!("by {entry} on the allow-list")));
            }
        }
        SignUp::Invite => {}
    }
    // Taken and used up in one statement: an invitation lets one user in, also one who was not written down the first time.
    let texts = texts(&entries);
    let [one, two, three] = texts.each_ref().map(|text| text_or_null(text.as_deref()));
    let used = database
        .prepare(
            "UPDATE invitations SET used_by = ?4, used_at = ?5 \
             WHERE entry IN (?1, ?2, ?3) AND (used_by IS NULL OR used_by = ?4) RETURNING entry",
        )
        .bind(&[
            one,
            two,
            three,
            identity.user.to_string().into(),
            d1_timestamp(now),
        ])?
        .rows::<EntryRow>()
        .await?;
    let used: Vec<String> = used.into_iter().map(|row| row.entry).collect();
    Ok((!used.is_empty()).then(|| format!("by the invitation of {}", used.join(", "))))
}

#[derive(Deserialize)]
struct EntryRow {
    entry: String,
}

async fn on_allow_list(database: &D1Database, entries: &[AllowListEntry]) -> worker::Result<Option<String>> {
    let bindings = texts(entries).map(|text| text_or_null(text.as_deref()));
    let found = database
        .prepare("SELECT entry FROM allow_list WHERE entry IN (?1, ?2, ?3)")
        .bind(&bindings)?
        .row::<EntryRow>()
        .await?;
    Ok(found.map(|row| row.entry))
}

/// At most three: the user, their address, its domain.
fn texts(entries: &[AllowListEntry]) -> [Option<String>; 3] {
    let text = |index: usize| entries.get(index).map(AllowListEntry::to_string);
    [text(0), text(1), text(2)]
}
