//! Which site a request came to: the platform's, or a bot's own host and whose bot that is.

use std::cell::RefCell;

use moltworker_core::api::route::HostKind;
use moltworker_core::http::host::HostName;
use moltworker_core::http::problem::Refusal;
use moltworker_core::http::site::{Site, site};
use moltworker_core::identity::cache::Cache;
use moltworker_core::identity::domain::DomainState;
use moltworker_core::identity::users::{Freshness, Read};
use moltworker_core::settings::Settings;
use moltworker_core::user_id::UserId;
use serde::Deserialize;
use worker::Env;

use crate::platform::database::{self, Rows};
use crate::platform::{clock, log};

/// For how long a domain's owner is believed, which costs a row of D1 a minute on a domain that is in use. An hour, as for
/// users, would not be safe: a suspended user is refused by their own Sandbox, but no Sandbox knows its domains. One that was
/// removed or given to somebody else would for an hour still lead to the former owner's bot, and keep out the new owner,
/// wherever another isolate remembers it. To tell every Sandbox of its domains, and to be sure that it heard, would be a
/// second copy of that table, for a row that costs a tenth of a cent per million.
const BELIEVED: Freshness = Freshness::Minute;

thread_local! {
    /// Hosts this isolate remembers, found or not: strangers choose what names they send here.
    static KNOWN: RefCell<Cache<HostName, Option<UserId>>> = const { RefCell::new(Cache::new()) };
}

/// A bot's own host.
#[derive(Debug, Clone)]
pub(crate) struct BotHost {
    /// Its name.
    pub(crate) name: HostName,
    /// Whose bot it is.
    pub(crate) owner: UserId,
    /// As browsers name it.
    pub(crate) origin: String,
}

/// Where a request came to.
pub(crate) enum Served {
    Platform,
    Bot(BotHost),
    Nowhere,
}

impl Served {
    pub(crate) fn host_kind(&self) -> HostKind {
        match self {
            Self::Platform => HostKind::Platform,
            Self::Bot(_) => HostKind::BotHost,
            Self::Nowhere => HostKind::Elsewhere,
        }
    }

    /// As browsers name it.
    pub(crate) fn origin<'a>(&'a self, settings: &'a Settings) -> &'a str {
        match self {
            Self::Bot(host) => &host.origin,
            Self::Platform | Self::Nowhere => settings.public.as_str(),
        }
    }
}

/// Finds the site of a request's host (`name[:port]`).
///
/// # Errors
/// [`Refusal::DirectoryUnavailable`] when only the table of domains could tell and does not answer.
pub(crate) async fn served(env: &Env, settings: &Settings, host: &str) -> Result<Served, Refusal> {
    let found = match site(host, &settings.public, settings.access.bot_domain.as_ref()) {
        Site::Platform => return Ok(Served::Platform),
        Site::Unknown => None,
        Site::Own(owner, name) => Some((name, owner)),
        Site::Custom(name) => owner_of(env, &name).await?.map(|owner| (name, owner)),
    };
    Ok(found.map_or(Served::Nowhere, |(name, owner)| {
        let origin = settings.public.of(&name);
        Served::Bot(BotHost { name, owner, origin })
    }))
}

#[derive(Deserialize)]
struct SiteRow {
    user_id: UserId,
}

/// Who has proven that this domain is theirs.
async fn owner_of(env: &Env, host: &HostName) -> Result<Option<UserId>, Refusal> {
    let now = clock::now_ms();
    let known = KNOWN.with_borrow(|known| known.get(host));
    if let Some(owner) = known.and_then(|read| read.fresh(now, BELIEVED)) {
        return Ok(owner);
    }
    match ask(env, host).await {
        Ok(owner) => {
            cache(host, owner);
            Ok(owner)
        }
        Err(error) => {
            log::fault("domains-unavailable", &[("reason", &error)]);
            let owner = known.and_then(|read| read.without_database(now));
            owner.ok_or(Refusal::DirectoryUnavailable)
        }
    }
}

async fn ask(env: &Env, host: &HostName) -> worker::Result<Option<UserId>> {
    let row = database::open(env)?
        .prepare("SELECT user_id FROM domains WHERE host = ?1 AND state = ?2")
        .bind(&[host.as_str().into(), DomainState::Verified.as_str().into()])?
        .row::<SiteRow>()
        .await?;
    Ok(row.map(|row| row.user_id))
}

/// What this isolate is to believe from now on, because it was just read or written.
pub(crate) fn cache(host: &HostName, owner: Option<UserId>) {
    let read = Read {
        value: owner,
        at: clock::now_ms(),
    };
    KNOWN.with_borrow_mut(|known| known.put(host.clone(), read));
}
