//! What admins do with users, invitations, the allow-list and domains. Every change is a log line with who,
//! what, whom and, by the log itself, when.

use moltworker_core::api::bot::BotState;
use moltworker_core::api::route::AdminCall;
use moltworker_core::api::sandbox::Order;
use moltworker_core::bot::history::{Actor, HistoryKind};
use moltworker_core::bot::lifecycle::Authority;
use moltworker_core::http::problem::Refusal;
use moltworker_core::identity::users::{self as rules, UserStatus};
use moltworker_core::settings::Settings;
use moltworker_core::user_id::UserId;
use serde::{Deserialize, Serialize};
use worker::{Env, Request, Response};

use crate::api::domains::{self, unavailable};
use crate::http::address::Address;
use crate::http::{body, reply};
use crate::identity::users;
use crate::platform::database::{self, d1_timestamp};
use crate::platform::history::{self, HistoryEntry};
use crate::platform::sandbox_client;
use crate::platform::{clock, log};

/// Users told at a time.
const PAGE: u32 = 100;

type Outcome = Result<Response, (Refusal, Option<String>)>;

/// One user, as admins see them.
#[derive(Serialize, Deserialize)]
struct User {
    user_id: UserId,
    email: Option<String>,
    role: String,
    status: UserStatus,
    status_by: Option<String>,
    status_at: Option<u64>,
    created_at: u64,
    seen_at: u64,
}

#[derive(Serialize, Deserialize)]
struct Invitation {
    entry: String,
    invited_by: String,
    invited_at: u64,
    used_by: Option<String>,
    used_at: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Allowed {
    entry: String,
    added_by: String,
    added_at: u64,
}

#[derive(Deserialize)]
struct Named {
    entry: String,
}

/// One call of an admin, whose identity and role were proven by a bearer token.
pub(crate) async fn call(
    request: &mut Request,
    env: &Env,
    settings: &Settings,
    admin: UserId,
    call: AdminCall,
) -> worker::Result<Response> {
    let outcome = match call {
        AdminCall::Users => all_users(request, env).await,
        AdminCall::User(user) => one_user(env, user).await,
        AdminCall::SetStatus(user, status) => set_status(env, admin, user, status).await,
        AdminCall::Invitations => invitations(env).await,
        AdminCall::Invite => change(request, env, admin, &INVITE).await,
        AdminCall::Uninvite => change(request, env, admin, &UNINVITE).await,
        AdminCall::AllowList => allow_list(env).await,
        AdminCall::Allow => change(request, env, admin, &ALLOW).await,
        AdminCall::Disallow => change(request, env, admin, &DISALLOW).await,
        AdminCall::Domains(user) => domains::list(env, settings, user).await,
        AdminCall::VerifyDomain(user) => {
            log::line(
                "admin",
                &[("admin", &admin), ("what", &"verify-domain"), ("user", &user)],
            );
            domains::verify_for(request, env, settings, user, admin).await
        }
        AdminCall::RemoveDomain(user) => {
            log::line(
                "admin",
                &[("admin", &admin), ("what", &"remove-domain"), ("user", &user)],
            );
            domains::remove(request, env, settings, user).await
        }
    };
    domains::answer(outcome)
}

const USER: &str = "user_id, email, role, status, status_by, status_at, created_at, seen_at";

/// A page of users in the order of their ids, from behind the one named by `?after=`.
async fn all_users(request: &Request, env: &Env) -> Outcome {
    let read = async {
        let after = Address::of(request)?.query_value("after").unwrap_or_default();
        let users: Vec<User> = database::open(env)?
            .prepare(format!(
                "SELECT {USER} FROM users WHERE user_id > ?1 ORDER BY user_id LIMIT ?2"
            ))
            .bind(&[after.into(), PAGE.into()])?
            .all()
            .await?
            .results()?;
        let full = u32::try_from(users.len()).is_ok_and(|found| found == PAGE);
        let next = users.last().filter(|_| full).map(|user| user.user_id);
        reply::json(&serde_json::json!({ "users": users, "next": next }))
    };
    read.await.map_err(unavailable)
}

async fn one_user(env: &Env, user: UserId) -> Outcome {
    let read = async {
        database::open(env)?
            .prepare(format!("SELECT {USER} FROM users WHERE user_id = ?1"))
            .bind(&[user.to_string().into()])?
            .first::<User>(None)
            .await
    };
    let found = read.await.map_err(unavailable)?;
    let found = found.ok_or((Refusal::NoSuchEntry, None))?;
    reply::json(&found).map_err(unavailable)
}

/// Sets a user's status, then tells their bot. The bot is the second line: what this isolate and the others
/// remember of the user may be a minute old, the Sandbox's own state never is.
async fn set_status(env: &Env, admin: UserId, user: UserId, status: UserStatus) -> Outcome {
    if user == admin && status != UserStatus::Active {
        let detail = "an admin cannot suspend or delete their own account".into();
        return Err((Refusal::BadRequest, Some(detail)));
    }
    let now = clock::now_ms();
    let update = async {
        database::open(env)?
            .prepare(format!(
                "UPDATE users SET status = ?2, status_by = ?3, status_at = ?4 WHERE user_id = ?1 RETURNING {USER}"
            ))
            .bind(&[
                user.to_string().into(),
                status.as_str().into(),
                admin.to_string().into(),
                d1_timestamp(now),
            ])?
            .first::<User>(None)
            .await
    };
    let updated = update.await.map_err(unavailable)?;
    let updated = updated.ok_or((Refusal::NoSuchEntry, None))?;
    users::cache(user, status, now);
    log::line(
        "admin",
        &[("admin", &admin), ("what", &status.verb()), ("user", &user)],
    );
    let entry = HistoryEntry {
        bot: user,
        run: None,
        kind: HistoryKind::Ordered,
        actor: Actor::Admin(admin),
        detail: Some(format!("{} the account", status.verb())),
    };
    history::record(env, &entry).await;
    if let Err(error) = tell_bot(env, user, status).await {
        log::line("bot-not-told", &[("user", &user), ("reason", &error)]);
        let detail = "the account was changed, but its bot could not be told; do it again".into();
        return Err((Refusal::Internal, Some(detail)));
    }
    reply::json(&updated).map_err(unavailable)
}

async fn tell_bot(env: &Env, user: UserId, status: UserStatus) -> worker::Result<()> {
    let order = match status {
        UserStatus::Active => {
            let status = sandbox_client::status(env, user).await?;
            // What its owner stopped is not the account's affair, and stays stopped.
            if sandbox_client::summary(&status)?.state == BotState::Stopped {
                return Ok(());
            }
            Order::Start
        }
        UserStatus::Suspended | UserStatus::Deleted => Order::Suspend,
    };
    sandbox_client::order(env, user, Authority::Admin, order).await?;
    Ok(())
}

async fn invitations(env: &Env) -> Outcome {
    let read = async {
        let rows: Vec<Invitation> = database::open(env)?
            .prepare("SELECT entry, invited_by, invited_at, used_by, used_at FROM invitations ORDER BY entry")
            .all()
            .await?
            .results()?;
        reply::json(&serde_json::json!({ "invitations": rows }))
    };
    read.await.map_err(unavailable)
}

async fn allow_list(env: &Env) -> Outcome {
    let read = async {
        let rows: Vec<Allowed> = database::open(env)?
            .prepare("SELECT entry, added_by, added_at FROM allow_list ORDER BY entry")
            .all()
            .await?
            .results()?;
        reply::json(&serde_json::json!({ "allow_list": rows }))
    };
    read.await.map_err(unavailable)
}

/// A change to the invitations or to the allow-list.
struct Change {
    what: &'static str,
    /// `?1` is the entry; where one is added, `?2` the admin and `?3` the moment.
    statement: &'static str,
    adds: bool,
    takes_domains: bool,
}

const INVITE: Change = Change {
    what: "invite",
    statement: "INSERT INTO invitations (entry, invited_by, invited_at) VALUES (?1, ?2, ?3) \
                ON CONFLICT (entry) DO NOTHING",
    adds: true,
    // One invitation lets in one person.
    takes_domains: false,
};
const UNINVITE: Change = Change {
    what: "uninvite",
    statement: "DELETE FROM invitations WHERE entry = ?1",
    adds: false,
    takes_domains: false,
};
const ALLOW: Change = Change {
    what: "allow",
    statement: "INSERT INTO allow_list (entry, added_by, added_at) VALUES (?1, ?2, ?3) \
                ON CONFLICT (entry) DO NOTHING",
    adds: true,
    takes_domains: true,
};
const DISALLOW: Change = Change {
    what: "disallow",
    statement: "DELETE FROM allow_list WHERE entry = ?1",
    adds: false,
    takes_domains: true,
};

async fn change(request: &mut Request, env: &Env, admin: UserId, change: &Change) -> Outcome {
    let Named { entry } = body::json(request).await.map_err(|refusal| (refusal, None))?;
    let entry: rules::AllowListEntry = entry
        .parse()
        .map_err(|error| (Refusal::BadRequest, Some(format!("entry: {error}"))))?;
    if matches!(entry, rules::AllowListEntry::Domain(_)) && !change.takes_domains {
        let detail = "entry: an invitation is for one person, an e-mail address or a user id".into();
        return Err((Refusal::BadRequest, Some(detail)));
    }
    let mut bindings = vec![entry.to_string().into()];
    if change.adds {
        bindings.push(admin.to_string().into());
        bindings.push(d1_timestamp(clock::now_ms()));
    }
    let write = async {
        database::open(env)?
            .prepare(change.statement)
            .bind(&bindings)?
            .run()
            .await
    };
    write.await.map_err(unavailable)?;
    log::line(
        "admin",
        &[("admin", &admin), ("what", &change.what), ("entry", &entry)],
    );
    if change.takes_domains {
        allow_list(env).await
    } else {
        invitations(env).await
    }
}
