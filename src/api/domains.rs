//! A bot's own domains: claimed by its owner, proven by a TXT record or by an admin's word, given up again.

use std::time::Duration;

use moltworker_core::api::route::DomainCall;
use moltworker_core::http::host::{HostName, claimable};
use moltworker_core::http::problem::Refusal;
use moltworker_core::identity::domain::{
    Certificate, DomainState, MAX_DOMAINS, PROOF_BYTES, is_proven, proof_name, proof_value,
};
use moltworker_core::settings::Settings;
use moltworker_core::user_id::UserId;
use serde::{Deserialize, Serialize};
use worker::url::form_urlencoded;
use worker::{Env, Fetch, Headers, Method, Request, RequestInit, Response};

use crate::http::{body, reply, sites};
use crate::platform::database::{self, d1_timestamp, text_or_null};
use crate::platform::{clock, custom_hostname, log, webcrypto};

/// How long a resolver may take: it asks servers that may be slow or gone.
const DNS_DEADLINE: Duration = Duration::from_secs(10);
/// Who verified a domain, when it was its own DNS.
const BY_DNS: &str = "dns";

#[derive(Deserialize)]
struct Named {
    host: String,
}

/// One claim, as the table has it.
#[derive(Deserialize)]
struct Row {
    host: HostName,
    proof: String,
    state: DomainState,
    added_at: u64,
    verified_at: Option<u64>,
    hostname_id: Option<String>,
}

/// One claim, as its owner sees it.
#[derive(Serialize)]
struct DomainView {
    host: HostName,
    state: DomainState,
    added_at: u64,
    verified_at: Option<u64>,
    /// The record that proves it.
    proof: Record,
    /// Where the name itself has to lead.
    target: Record,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<Certificate>,
}

#[derive(Serialize)]
struct Record {
    r#type: &'static str,
    name: String,
    value: String,
}

impl Row {
    fn view(self, settings: &Settings, certificate: Option<Certificate>) -> DomainView {
        DomainView {
            proof: Record {
                r#type: "TXT",
                name: proof_name(&self.host),
                value: proof_value(&self.proof),
            },
            target: Record {
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

/// What a call answers, or why it is refused, with a detail where there is more to say.
type Outcome = Result<Response, (Refusal, Option<String>)>;

/// The owner's calls.
pub(crate) async fn call(
    request: &mut Request,
    env: &Env,
    settings: &Settings,
    user: UserId,
    call: DomainCall,
) -> worker::Result<Response> {
    let outcome = match call {
        DomainCall::List => list(env, settings, user).await,
        DomainCall::Add => add(request, env, settings, user).await,
        DomainCall::Check => check(request, env, settings, user).await,
        DomainCall::Remove => remove(request, env, settings, user).await,
    };
    answer(outcome)
}

pub(crate) fn answer(outcome: Outcome) -> worker::Result<Response> {
    outcome.or_else(|(refusal, detail)| reply::problem(refusal, detail))
}

/// An error of the database or of our own, told as such and logged.
#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
pub(crate) fn unavailable(error: worker::Error) -> (Refusal, Option<String>) {
    log::line("directory-unavailable", &[("reason", &error)]);
    (Refusal::DirectoryUnavailable, None)
}

fn refused(refusal: Refusal) -> (Refusal, Option<String>) {
    (refusal, None)
}

async fn named(request: &mut Request) -> Result<HostName, (Refusal, Option<String>)> {
    let Named { host } = body::json(request).await.map_err(refused)?;
    host.parse()
        .map_err(|error| (Refusal::BadRequest, Some(format!("host: {error}"))))
}

/// All claims of a user.
pub(crate) async fn list(env: &Env, settings: &Settings, user: UserId) -> Outcome {
    let rows = rows(env, user).await.map_err(unavailable)?;
    let domains: Vec<DomainView> = rows.into_iter().map(|row| row.view(settings, None)).collect();
    reply::json(&serde_json::json!({ "domains": domains })).map_err(unavailable)
}

async fn rows(env: &Env, user: UserId) -> worker::Result<Vec<Row>> {
    database::open(env)?
        .prepare(format!(
            "SELECT {COLUMNS} FROM domains WHERE user_id = ?1 ORDER BY host"
        ))
        .bind(&[user.to_string().into()])?
        .all()
        .await?
        .results()
}

async fn find(env: &Env, user: UserId, host: &HostName) -> Result<Row, (Refusal, Option<String>)> {
    let query = format!("SELECT {COLUMNS} FROM domains WHERE user_id = ?1 AND host = ?2");
    let found = async {
        database::open(env)?
            .prepare(query)
            .bind(&[user.to_string().into(), host.as_str().into()])?
            .first::<Row>(None)
            .await
    };
    found
        .await
        .map_err(unavailable)?
        .ok_or_else(|| refused(Refusal::NoSuchEntry))
}

async fn add(request: &mut Request, env: &Env, settings: &Settings, user: UserId) -> Outcome {
    let host = named(request).await?;
    claim(env, settings, user, &host).await?;
    let row = find(env, user, &host).await?;
    log::line("domain-claimed", &[("user", &user), ("host", &host)]);
    reply::json(&row.view(settings, None)).map_err(unavailable)
}

/// Makes a claim, unless it is there already or the user has too many.
async fn claim(
    env: &Env,
    settings: &Settings,
    user: UserId,
    host: &HostName,
) -> Result<(), (Refusal, Option<String>)> {
    claimable(host, &settings.public, settings.access.bot_domain.as_ref())
        .map_err(|error| (Refusal::BadRequest, Some(format!("host: {error}"))))?;
    let insert = async {
        let proof: String = webcrypto::random_bytes(PROOF_BYTES)?
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        // Counted and added in one statement, so that two requests at once add no sixth.
        database::open(env)?
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
    insert.await.map_err(unavailable)?;
    match find(env, user, host).await {
        Err((Refusal::NoSuchEntry, _)) => Err(refused(Refusal::TooManyDomains)),
        found => found.map(drop),
    }
}

async fn check(request: &mut Request, env: &Env, settings: &Settings, user: UserId) -> Outcome {
    let host = named(request).await?;
    let mut row = find(env, user, &host).await?;
    if row.state == DomainState::Pending {
        let proven = resolve(settings, &row).await.map_err(|error| {
            log::line("dns-unanswered", &[("host", &host), ("reason", &error)]);
            refused(Refusal::DnsUnavailable)
        })?;
        if proven {
            row = verify(env, user, &host, BY_DNS).await?;
        }
    }
    let certificate = certificate(env, settings, user, &row).await;
    reply::json(&row.view(settings, certificate)).map_err(unavailable)
}

/// Asks DNS for the proof. An error is not a no.
async fn resolve(settings: &Settings, row: &Row) -> worker::Result<bool> {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("name", &proof_name(&row.host))
        .append_pair("type", "TXT")
        .finish();
    let headers = Headers::new();
    headers.set("accept", "application/dns-json")?;
    let mut init = RequestInit::new();
    init.with_method(Method::Get).with_headers(headers);
    let url = format!("{}?{query}", settings.access.dns_query_url);
    let request = Request::new_with_init(&url, &init)?;
    let mut response = clock::within(DNS_DEADLINE, Fetch::Request(request).send()).await?;
    if response.status_code() != 200 {
        let said = format!("the resolver answered {}", response.status_code());
        return Err(worker::Error::RustError(said));
    }
    is_proven(&response.text().await?, &row.proof)
        .map_err(|error| worker::Error::RustError(error.to_string()))
}

/// Makes a claim the one that holds, unless another does already.
async fn verify(
    env: &Env,
    user: UserId,
    host: &HostName,
    by: &str,
) -> Result<Row, (Refusal, Option<String>)> {
    let update = async {
        database::open(env)?
            .prepare(format!(
                "UPDATE domains SET state = 'verified', verified_at = ?3, verified_by = ?4 \
                 WHERE host = ?1 AND user_id = ?2 AND NOT EXISTS \
                 (SELECT 1 FROM domains WHERE host = ?1 AND state = 'verified' AND user_id <> ?2) \
                 RETURNING {COLUMNS}"
            ))
            .bind(&[
                host.as_str().into(),
                user.to_string().into(),
                d1_timestamp(clock::now_ms()),
                by.into(),
            ])?
            .first::<Row>(None)
            .await
    };
    let row = update.await.map_err(unavailable)?;
    let row = row.ok_or_else(|| refused(Refusal::DomainTaken))?;
    sites::cache(host, Some(user));
    log::line("domain-verified", &[("user", &user), ("host", host), ("by", &by)]);
    Ok(row)
}

/// How far the certificate of a verified domain is, where the platform makes them; begun if need be.
async fn certificate(env: &Env, settings: &Settings, user: UserId, row: &Row) -> Option<Certificate> {
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
pub(crate) async fn remove(request: &mut Request, env: &Env, settings: &Settings, user: UserId) -> Outcome {
    let host = named(request).await?;
    let delete = async {
        database::open(env)?
            .prepare(format!(
                "DELETE FROM domains WHERE host = ?1 AND user_id = ?2 RETURNING {COLUMNS}"
            ))
            .bind(&[host.as_str().into(), user.to_string().into()])?
            .first::<Row>(None)
            .await
    };
    let row = delete.await.map_err(unavailable)?;
    let row = row.ok_or_else(|| refused(Refusal::NoSuchEntry))?;
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
    log::line("domain-removed", &[("user", &user), ("host", &host)]);
    list(env, settings, user).await
}

/// Takes an admin's word that a domain is this user's.
pub(crate) async fn verify_for(
    request: &mut Request,
    env: &Env,
    settings: &Settings,
    user: UserId,
    admin: UserId,
) -> Outcome {
    let host = named(request).await?;
    claim(env, settings, user, &host).await?;
    let row = verify(env, user, &host, &admin.to_string()).await?;
    let certificate = certificate(env, settings, user, &row).await;
    reply::json(&row.view(settings, certificate)).map_err(unavailable)
}
