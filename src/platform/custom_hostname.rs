//! Cloudflare's custom hostnames (Cloudflare for SaaS): a certificate and a way in for a person's own domain.

use std::time::Duration;

use moltworker_core::http::host::HostName;
use moltworker_core::identity::domain::{Certificate, HostnameAnswer, hostname_answer};
use moltworker_core::settings::Cloudflare;
use serde::Serialize;
use worker::{Error, Fetch, Headers, Method, Result};

use crate::platform::{clock, outgoing};

/// How long the API may take.
const DEADLINE: Duration = Duration::from_secs(15);

#[derive(Serialize)]
struct Wanted<'a> {
    hostname: &'a HostName,
    ssl: Ssl,
}

#[derive(Serialize)]
struct Ssl {
    method: &'static str,
    r#type: &'static str,
    settings: SslSettings,
}

#[derive(Serialize)]
struct SslSettings {
    min_tls_version: &'static str,
}

/// The hostname's id and how far it is; makes it if there is none.
///
/// # Errors
/// The API does not answer, or refuses.
pub(crate) async fn look_or_make(
    api: &Cloudflare,
    host: &HostName,
    id: Option<&str>,
) -> Result<(String, Certificate)> {
    if let Some(id) = id
        && let HostnameAnswer::Found { id, certificate } =
            ask(api, Method::Get, &format!("/{id}"), None).await?
    {
        return Ok((id, certificate));
    }
    // Validation by HTTP needs nothing of the owner once the name leads here: Cloudflare answers it itself.
    let wanted = serde_json::to_string(&Wanted {
        hostname: host,
        ssl: Ssl {
            method: "http",
            r#type: "dv",
            settings: SslSettings {
                min_tls_version: "1.2",
            },
        },
    })?;
    let answer = match ask(api, Method::Post, "", Some(wanted)).await? {
        // Made earlier, and its id was lost on the way.
        HostnameAnswer::Duplicate => ask(api, Method::Get, &format!("?hostname={host}"), None).await?,
        answer => answer,
    };
    match answer {
        HostnameAnswer::Found { id, certificate } => Ok((id, certificate)),
        HostnameAnswer::Refused(words) => Err(Error::RustError(words)),
        HostnameAnswer::Absent | HostnameAnswer::Duplicate => {
            Err(Error::RustError("the hostname was neither made nor found".into()))
        }
    }
}

/// Removes a hostname; one that is gone already is fine.
///
/// # Errors
/// The API does not answer, or refuses.
pub(crate) async fn remove(api: &Cloudflare, id: &str) -> Result<()> {
    match ask(api, Method::Delete, &format!("/{id}"), None).await? {
        HostnameAnswer::Refused(words) => Err(Error::RustError(words)),
        _ => Ok(()),
    }
}

async fn ask(api: &Cloudflare, method: Method, rest: &str, body: Option<String>) -> Result<HostnameAnswer> {
    let headers = Headers::new();
    headers.set("authorization", &format!("Bearer {}", api.api_token.reveal()))?;
    headers.set("content-type", "application/json")?;
    let url = format!("{}/zones/{}/custom_hostnames{rest}", api.api_url, api.zone_id);
    let request = outgoing::request(&method, &url, &headers, body.as_deref())?;
    let mut response = clock::within(DEADLINE, Fetch::Request(request).send()).await?;
    let body = response.text().await?;
    Ok(hostname_answer(response.status_code(), &body))
}
