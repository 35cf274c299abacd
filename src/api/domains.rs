//! A bot's own domains: claimed by its owner, proven by a TXT record or by an admin's word, given up again.

use std::time::Duration;

use moltworker_core::api::domains::{DnsRecord, Domain, DomainList};
use moltworker_core::hex;
use moltworker_core::http::host::HostName;
use moltworker_core::http::problem::Refusal;
use moltworker_core::http::site::claimable;
use moltworker_core::identity::domain::{
    Certificate, DomainState, MAX_DOMAINS, PROOF_BYTES, is_proven, proof_name, proof_value,
};
use moltworker_core::settings::Settings;
use moltworker_core::user_id::UserId;
use serde::Deserialize;
use worker::url::form_urlencoded;
use worker::{Env, Fetch, Headers, Method};

use crate::api::context::Context;
use crate::http::error::{Error, Result, directory_unavailable};
use crate::http::sites;
use crate::platform::database::{self, Rows, d1_timestamp, text_or_null};
use crate::platform::{clock, custom_hostname, log, outgoing, webcrypto};

/// How long a resolver may take: it asks servers that may be slow or gone.
const DNS_DEADLINE: Duration = Duration::from_secs(10);
/// Who verified a domain, when it was its own DNS.
const BY_DNS: &str = "dns";

/// One claim, as the table has it.
#[derive(Deserialize)]
struct DomainRow {
    host: HostName,
    proof: String,
    state: DomainState,
    added_at: u64,
    verified_at: Option<u64>,
    hostname_id: Option<String>,
}

impl DomainRow {
    fn view(self, settings: &Settings, certificate: Option<Certificate>) -> Domain {
        Domain {
            proof: DnsRecord {
                r#type: "TXT",
                name: proof_name(&self.host),
                value: proof_value(&self.proof),
            },
            target: DnsRecord {
                r#type: "CNAME",
                name: self.host.to_string(),
                value: settings.public.name().to_owned(),
            },
            host: self.host,
            state: self.state,
            added_at: self.added_at,
            verified_at: self.verified_at,
            certificate,
        }
    }
}

const COLUMNS: &str = "host, proof, state, added_at, verified_at, hostname_id";

/// All claims of a user.
pub(super) async fn list(ctx: &Context<'_>) -> Result<DomainList> {
    let rows = rows(ctx.env, ctx.subject()?)
        .await
        .map_err(directory_unavailable)?;
    let views = rows.into_iter().map(|row| row.view(ctx.settings, None));
    Ok(DomainList {
        domains: views.collect(),
    })
}

async fn rows(env: &Env, user: UserId) -> worker::Result<Vec<DomainRow>> {
    database::open(env)?
        .prepare(format!(
            "SELECT {COLUMNS} FROM domains WHERE user_id = ?1 ORDER BY host"
        ))
        .bind(&[user.to_string().into()])?
        .rows()
        .await
}

async fn find(env: &Env, user: UserId, host: &HostName) -> Result<DomainRow> {
    let query = format!("SELECT {COLUMNS} FROM domains WHERE user_id = ?1 AND host = ?2");
    let found = async {
        database::open(env)?
            .prepare(query)
            .bind(&[user.to_string().into(), host.as_str().into()])?
            .row::<DomainRow>()
            .await
    };
    found
        .await
        .map_err(directory_unavailable)?
        .ok_or_else(|| Refusal::NoSuchEntry.into())
}

/// Claims a domain.
pub(super) async fn add(ctx: &Context<'_>, host: HostName) -> Result<Domain> {
    begin(ctx, &host).await;
    let user = ctx.subject()?;
    claim(ctx, user, &host).await?;
    let row = find(ctx.env, user, &host).await?;
    Ok(row.view(ctx.settings, None))
}

/// Writes down which domain is about to be changed.
async fn begin(ctx: &Context<'_>, host: &HostName) {
    ctx.audit.note(host.as_str());
    ctx.audit.begin().await;
}

/// Makes a claim, unless it is there already or the user has too many.
async fn claim(ctx: &Context<'_>, user: UserId, host: &HostName) -> Result<()> {
    let settings = ctx.settings;
    claimable(host, &settings.public, settings.access.bot_domain.as_ref())
        .map_err(|error| Error::detailed(Refusal::BadRequest, format!("host: {error}")))?;
    let insert = async {
        let proof = hex::encode(&webcrypto::random_bytes(PROOF_BYTES)?);
        // Counted and added in one statement, so that two requests at once add no sixth.
        database::open(ctx.env)?
            .prepare(
                "INSERT INTO domains (host, user_id, proof, added_at) SELECT ?1, ?2, ?3, ?4 \
                 WHERE (SELECT count(*) FROM domains WHERE user_id = ?2) < ?5 \
                 ON CONFLICT (host, user_id) DO NOTHING",
            )
            .bind(&[
                host.as_str().into(),
                user.to_string().into(),
                proof.into(),
                d1_timestamp(clock::now_ms()),
                MAX_DOMAINS.into(),
            ])?
            .run()
            .await
    };
    insert.await.map_err(directory_unavailable)?;
    match find(ctx.env, user, host).await {
        Err(Error::Refused(Refusal::NoSuchEntry, _)) => {
            let detail = format!("a bot has at most {MAX_DOMAINS} domains");
            Err(Error::detailed(Refusal::TooManyDomains, detail))
        }
        found => found.map(drop),
    }
}

/// Looks into DNS whether a claim is proven.
pub(super) async fn check(ctx: &Context<'_>, host: HostName) -> Result<Domain> {
    begin(ctx, &host).await;
    let user = ctx.subject()?;
    let mut row = find(ctx.env, user, &host).await?;
    if row.state == DomainState::Pending {
        let proven = resolve(ctx.settings, &row).await.map_err(|error| {
            log::line("dns-unanswered", &[("host", &host), ("reason", &error)]);
            Refusal::DnsUnavailable
        })?;
        if proven {
            row = verify(ctx.env, user, &host, BY_DNS).await?;
        }
    }
    let certificate = certificate(ctx.env, ctx.settings, user, &row).await;
    Ok(row.view(ctx.settings, certificate))
}

/// Asks DNS for the proof. An error is not a no.
async fn resolve(settings: &Settings, row: &DomainRow) -> worker::Result<bool> {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("name", &proof_name(&row.host))
        .append_pair("type", "TXT")
        .finish();
    let headers = Headers::new();
    headers.set("accept", "application/dns-json")?;
    let url = format!("{}?{query}", settings.access.dns_query_url);
    let request = outgoing::request(&Method::Get, &url, &headers, None)?;
    let mut response = clock::within(DNS_DEADLINE, Fetch::Request(request).send()).await?;
    if response.status_code() != 200 {
        let said = format!("the resolver answered {}", response.status_code());
        return Err(worker::Error::RustError(said));
    }
    is_proven(&response.text().await?, &row.proof)
        .map_err(|error| worker::Error::RustError(error.to_string()))
}

/// Makes a claim the one that holds, unless another does already.
async fn verify(env: &Env, user: UserId, host: &HostName, by: &str) -> Result<DomainRow> {
    let update = async {
        database::open(env)?
            .prepare(format!(
                "UPDATE domains SET state = ?5, verified_at = ?3, verified_by = ?4 \
                 WHERE host = ?1 AND user_id = ?2 AND NOT EXISTS \
                 (SELECT 1 FROM domains WHERE host = ?1 AND state = ?5 AND user_id <> ?2) \
                 RETURNING {COLUMNS}"
            ))
            .bind(&[
                host.as_str().into(),
                user.to_string().into(),
                d1_timestamp(clock::now_ms()),
                by.into(),
                DomainState::Verified.as_str().into(),
            ])?
            .row::<DomainRow>()
            .await
    };
    let row = update.await.map_err(directory_unavailable)?;
    let row = row.ok_or(Refusal::DomainTaken)?;
    sites::cache(host, Some(user));
    log::line("domain-verified", &[("user", &user), ("host", host), ("by", &by)]);
    Ok(row)
}

/// How far the certificate of a verified domain is, where the platform makes them; begun if need be.
async fn certificate(env: &Env, settings: &Settings, user: UserId, row: &DomainRow) -> Option<Certificate> {
    let cloudflare = settings.access.cloudflare.as_ref()?;
    if row.state != DomainState::Verified {
        return None;
    }
    let (id, certificate) =
        match custom_hostname::look_or_make(cloudflare, &row.host, row.hostname_id.as_deref()).await {
            Ok(found) => found,
            Err(error) => {
                log::line(
                    "custom-hostname-failed",
                    &[("host", &row.host), ("reason", &error)],
                );
                return None;
            }
        };
    if row.hostname_id.as_ref() != Some(&id) {
        let kept = keep_hostname_id(env, user, &row.host, &id).await;
        if let Err(error) = kept {
            log::line(
                "custom-hostname-not-kept",
                &[("host", &row.host), ("reason", &error)],
            );
        }
    }
    Some(certificate)
}

async fn keep_hostname_id(env: &Env, user: UserId, host: &HostName, id: &str) -> worker::Result<()> {
    database::open(env)?
        .prepare("UPDATE domains SET hostname_id = ?3 WHERE host = ?1 AND user_id = ?2")
        .bind(&[
            host.as_str().into(),
            user.to_string().into(),
            text_or_null(Some(id)),
        ])?
        .run()
        .await
        .map(drop)
}

/// Gives a domain up.
pub(super) async fn remove(ctx: &Context<'_>, host: HostName) -> Result<DomainList> {
    begin(ctx, &host).await;
    let (user, settings) = (ctx.subject()?, ctx.settings);
    let delete = async {
        database::open(ctx.env)?
            .prepare(format!(
                "DELETE FROM domains WHERE host = ?1 AND user_id = ?2 RETURNING {COLUMNS}"
            ))
            .bind(&[host.as_str().into(), user.to_string().into()])?
            .row::<DomainRow>()
            .await
    };
    let row = delete.await.map_err(directory_unavailable)?;
    let row = row.ok_or(Refusal::NoSuchEntry)?;
    if row.state == DomainState::Verified {
        sites::cache(&host, None);
    }
    if let (Some(cloudflare), Some(id)) = (&settings.access.cloudflare, &row.hostname_id)
        && let Err(error) = custom_hostname::remove(cloudflare, id).await
    {
        // It leads here and nowhere, but it counts against the zone's number of hostnames.
        log::line(
            "custom-hostname-left",
            &[("host", &host), ("id", id), ("reason", &error)],
        );
    }
    list(ctx).await
}

/// Takes an admin's word that a domain is this user's.
pub(super) async fn verify_for(ctx: &Context<'_>, host: HostName) -> Result<Domain> {
    begin(ctx, &host).await;
    let user = ctx.subject()?;
    claim(ctx, user, &host).await?;
    let row = verify(ctx.env, user, &host, &ctx.admin()?.to_string()).await?;
    let certificate = certificate(ctx.env, ctx.settings, user, &row).await;
    Ok(row.view(ctx.settings, certificate))
}
