//! Cloudflare's API, read only. What does not answer, or not in the form it is known by, is told with its reason.

use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use super::report::Check;

/// Where the API is when the environment does not say otherwise.
pub(super) const DEFAULT_BASE_URL: &str = "https://api.cloudflare.com/client/v4";
/// How long one answer may take.
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);
/// Entries of a list asked for at once; the API's own limit for custom hostnames.
const PAGE: usize = 50;
/// Pages read of one list. 5,000 custom hostnames are enough to know how they are.
const MAX_PAGES: usize = 100;

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The API says that there is no such thing, with its own number for that.
    Absent(i64),
    /// The API refused the question for what it asks, with its words.
    Refused(String),
    /// Nobody can tell.
    Unknown(String),
}

/// What the API said.
pub(crate) type Answer<T> = Result<T, Missing>;

/// One account, by a token.
pub(crate) struct Cloudflare {
    client: Client,
    base: String,
    token: String,
    pub(super) account: String,
}

impl Cloudflare {
    pub(crate) fn new(base: &str, token: String, account: String) -> Result<Self> {
        Ok(Self {
            client: client()?,
            base: base.trim_end_matches('/').to_owned(),
            token,
            account,
        })
    }

    /// Something of the account.
    pub(super) async fn get(&self, path: &str) -> Answer<Value> {
        let path = format!("/accounts/{}{path}", self.account);
        Ok(self.ask(Method::GET, &path, None).await?.0)
    }

    /// Rows of the first statement.
    pub(super) async fn query(&self, database: &str, sql: &str) -> Answer<Vec<Value>> {
        let path = format!("/accounts/{}/d1/database/{database}/query", self.account);
        let body = serde_json::json!({ "sql": sql });
        let (result, _) = self.ask(Method::POST, &path, Some(&body)).await?;
        let rows = result.pointer("/0/results").and_then(Value::as_array).cloned();
        rows.ok_or_else(|| strange(&path))
    }

    /// All entries of a list, page after page. `path` begins with `/accounts/…` or `/zones/…`.
    pub(super) async fn list(&self, path: &str) -> Answer<Vec<Value>> {
        let mut all = Vec::new();
        let mark = if path.contains('?') { '&' } else { '?' };
        for page in 1..=MAX_PAGES {
            let page_path = format!("{path}{mark}page={page}&per_page={PAGE}");
            let (result, info) = self.ask(Method::GET, &page_path, None).await?;
            let entries = result.as_array().ok_or_else(|| strange(path))?;
            all.extend(entries.iter().cloned());
            let pages = info.get("total_pages").and_then(Value::as_u64).unwrap_or(1);
            if entries.is_empty() || u64::try_from(page).is_ok_and(|page| page >= pages) {
                return Ok(all);
            }
        }
        Err(Missing::Unknown(format!(
            "{path} has more than {} entries",
            PAGE * MAX_PAGES
        )))
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Answer<(Value, Value)> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let unknown = |error: reqwest::Error| Missing::Unknown(unanswered(&error));
        let response = request.send().await.map_err(unknown)?;
        let status = response.status();
        let body = response.text().await.map_err(unknown)?;
        judge(status, &body, path)
    }
}

/// What an answer means. The API says of each whether it succeeded, and why not with a number.
fn judge(status: StatusCode, body: &str, path: &str) -> Answer<(Value, Value)> {
    let unknown = |why: String| Err(Missing::Unknown(why));
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return unknown(format!(
                "Cloudflare answered {} to {path}: CLOUDFLARE_API_TOKEN is not valid, or not permitted to read this",
                status.as_u16()
            ));
        }
        StatusCode::TOO_MANY_REQUESTS => {
            return unknown(
                "Cloudflare answered 429: too many requests, try again in five minutes".to_owned(),
            );
        }
        _ if status.is_server_error() => {
            return unknown(format!("Cloudflare answered {} to {path}", status.as_u16()));
        }
        _ => {}
    }
    let Ok(mut envelope) = serde_json::from_str::<Value>(body) else {
        return Err(strange(path));
    };
    let success = envelope.get("success").and_then(Value::as_bool);
    match success {
        Some(true) if status.is_success() => {
            let mut take = |name| envelope.get_mut(name).map(Value::take).unwrap_or_default();
            Ok((take("result"), take("result_info")))
        }
        Some(false) => {
            let error = envelope.pointer("/errors/0");
            let code = error.and_then(|error| error.get("code")?.as_i64());
            let message = error.and_then(|error| error.get("message")?.as_str());
            let message = message.unwrap_or("without a reason");
            match code {
                Some(code) if status == StatusCode::NOT_FOUND => Err(Missing::Absent(code)),
                _ => Err(Missing::Refused(format!("Cloudflare refused {path}: {message}"))),
            }
        }
        _ => Err(strange(path)),
    }
}

fn strange(path: &str) -> Missing {
    Missing::Unknown(format!(
        "{path} was answered in a form that is not Cloudflare's API"
    ))
}

/// Why nothing came back: the innermost cause, which says it plainly.
pub(super) fn unanswered(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let host = error.url().and_then(|url| url.host_str()).unwrap_or("the host");
    if error.is_timeout() {
        return format!("{host} did not answer within {} s", ANSWER_DEADLINE.as_secs());
    }
    format!("{host} cannot be reached: {cause}")
}

/// A client that follows no redirect: an answer from elsewhere says nothing about what was asked.
pub(super) fn client() -> Result<Client> {
    // Without a provider no client can be made. It can be given once, and who was first does not matter.
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::builder()
        .timeout(ANSWER_DEADLINE)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("no HTTP client can be made")
}

pub(super) fn unknown(check: &str, missing: &Missing) -> Check {
    match missing {
        Missing::Absent(code) => {
            Check::unknown(check, format!("Cloudflare says that there is none (code {code})"))
        }
        Missing::Refused(why) | Missing::Unknown(why) => Check::unknown(check, why.clone()),
    }
}

pub(super) fn malformed(check: &str, what: &str) -> Check {
    Check::unknown(
        check,
        format!("Cloudflare's answer about {what} has a form that this version does not know"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_success_is_an_answer() {
        let ok = judge(
            StatusCode::OK,
            r#"{"success":true,"result":{"a":1},"errors":[]}"#,
            "/x",
        );
        assert_eq!(ok.unwrap().0["a"], 1);
        for (status, body) in [
            (200, "<html>"),
            (200, "{}"),
            (200, r#"{"success":"yes","result":1}"#),
            (404, "not found"),
            (404, "{}"),
            (401, ""),
            (
                403,
                r#"{"success":false,"errors":[{"code":10000,"message":"Authentication error"}]}"#,
            ),
            (429, "slow down"),
            (500, r#"{"success":true,"result":[]}"#),
        ] {
            let judged = judge(StatusCode::from_u16(status).unwrap(), body, "/x");
            assert!(
                matches!(judged, Err(Missing::Unknown(_))),
                "{status} {body}: {judged:?}"
            );
        }
        let absent = r#"{"success":false,"errors":[{"code":10007,"message":"gone"}]}"#;
        assert_eq!(
            judge(StatusCode::NOT_FOUND, absent, "/x"),
            Err(Missing::Absent(10007))
        );
        let refused = judge(StatusCode::BAD_REQUEST, absent, "/x");
        assert!(matches!(refused, Err(Missing::Refused(why)) if why.contains("gone")));
    }
}
