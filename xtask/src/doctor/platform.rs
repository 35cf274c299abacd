//! What the deployment itself answers: is it there, how are its components, can somebody sign in and wake a bot.

use std::time::{Duration, Instant};

use moltworker_core::settings::{BOT_DOMAIN, SUPABASE_ANON_KEY, SUPABASE_URL};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::Value;

use super::cloudflare::unanswered;
use super::deployment::Checkout;
use super::report::{Check, Verdict};
use super::wrangler_toml::Configuration;

/// How long a sleeping bot may take to answer: a cold start of a standard-1 takes 45 s, a restore of a large home longer.
const WAKE_DEADLINE: Duration = Duration::from_secs(300);
/// Time between two questions while it wakes.
const WAKE_PAUSE: Duration = Duration::from_secs(2);
/// Refusals of a bot that pass by themselves.
const PASSING: [&str; 4] = ["bot-waking", "bot-stopping", "bot-interrupted", "no-capacity"];

/// Somebody to sign in as.
pub(crate) struct TestUser {
    pub(crate) email: String,
    pub(crate) password: String,
}

impl std::fmt::Debug for TestUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TestUser({})", self.email)
    }
}

/// Where and as whom to look.
pub(crate) struct Platform {
    pub(crate) client: Client,
    /// Without a slash at its end.
    pub(crate) url: String,
    pub(crate) monitor_token: Option<String>,
}

/// Makes all checks that need no account at Cloudflare.
pub(super) async fn judge(
    platform: &Platform,
    configuration: &Configuration,
    checkout: &Checkout,
    test_user: Option<&TestUser>,
) -> Vec<Check> {
    let mut checks = vec![
        health(platform, "public address", &platform.url).await,
        sign_in_page(platform).await,
    ];
    if let Some(domain) = configuration.variable(BOT_DOMAIN) {
        // Any name below it leads here when the wildcard and its certificate are in place.
        let url = format!("https://doctor.{domain}");
        checks.push(health(platform, "bot domain", &url).await);
    }
    checks.extend(components(platform).await);
    match test_user {
        None => checks.push(
            Check::unknown(
                "gateway",
                "only a bot says which gateway it runs, and no test user was given",
            )
            .remedied_by("set MOLTWORKER_TEST_EMAIL and MOLTWORKER_TEST_PASSWORD, and add --sign-in"),
        ),
        Some(user) => {
            checks.extend(sign_in_and_wake(platform, configuration, checkout, user, WAKE_PAUSE).await);
        }
    }
    checks
}

/// Whether an address leads to the Worker, with a certificate that counts.
pub(crate) async fn health(platform: &Platform, check: &str, url: &str) -> Check {
    let remedy = format!(
        "look at the DNS record, route and certificate of {url} in Cloudflare; a Worker without a custom domain has \
         one by `routes` in wrangler.toml"
    );
    match answer(platform.client.get(format!("{url}/healthz"))).await {
        Err(why) => Check::bad(check, why, remedy),
        Ok((StatusCode::OK, body)) if body.trim() == "ok" => {
            Check::ok(check, format!("{url} answers, with a valid certificate"))
        }
        Ok((status, _)) if status.is_server_error() => {
            let remedy = "cargo xtask wrangler tail  (and read what the Worker logs)";
            Check::bad(check, format!("{url}/healthz answers {status}"), remedy)
        }
        Ok((status, _)) => Check::bad(
            check,
            format!("{url}/healthz answers {status}, but not as this Worker does"),
            remedy,
        ),
    }
}

/// The first page that needs the settings: the Worker answers 503 there while one is missing or malformed.
pub(crate) async fn sign_in_page(platform: &Platform) -> Check {
    match answer(platform.client.get(format!("{}/login", platform.url))).await {
        Err(why) => Check::unknown("sign-in page", why),
        Ok((status, _)) if status.is_success() => Check::ok("sign-in page", "is shown"),
        Ok((StatusCode::TOO_MANY_REQUESTS, _)) => {
            Check::unknown("sign-in page", "too many requests from here")
        }
        Ok((status, _)) => Check::bad(
            "sign-in page",
            format!("{}/login answers {status}", platform.url),
            "open it in a browser: it names the setting that is missing",
        ),
    }
}

/// The components of `GET /api/admin/health`: `{"components": [{"component", "health", "since", "reason"}]}`.
pub(crate) async fn components(platform: &Platform) -> Vec<Check> {
    const CHECK: &str = "components";
    let Some(token) = &platform.monitor_token else {
        return vec![
            Check::unknown(CHECK, "no monitor token was given")
                .remedied_by("set MOLTWORKER_MONITOR_TOKEN to the deployment's read-only token"),
        ];
    };
    let url = format!("{}/api/admin/health?status=200", platform.url);
    match answer(platform.client.get(&url).bearer_auth(token)).await {
        Err(why) => vec![Check::unknown(CHECK, why)],
        Ok((StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _)) => vec![
            Check::unknown(CHECK, "the deployment does not take the monitor token")
                .remedied_by("set MOLTWORKER_MONITOR_TOKEN to the one that the deployment has"),
        ],
        Ok((StatusCode::NOT_FOUND, _)) => vec![
            Check::unknown(CHECK, "the deployed version does not tell them")
                .remedied_by("cargo xtask deploy"),
        ],
        // 503 is how it says that a component is bad.
        Ok((StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE, body)) => read_components(&body)
            .unwrap_or_else(|| {
                vec![Check::unknown(
                    CHECK,
                    format!("{url} answers in a form that is not known"),
                )]
            }),
        Ok((status, _)) => vec![Check::unknown(CHECK, format!("{url} answers {status}"))],
    }
}

/// Fields that are not known are passed over; a component whose health is no known word is not taken for good.
fn read_components(body: &str) -> Option<Vec<Check>> {
    let document: Value = serde_json::from_str(body).ok()?;
    let listed = document.get("components")?.as_array()?;
    let mut checks = Vec::new();
    for entry in listed {
        let name = entry.get("component")?.as_str()?;
        let check = format!("component {name}");
        let text = |field: &str| {
            entry
                .get(field)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let mut reason = text("reason").unwrap_or("no reason is given").to_owned();
        let since = match entry.get("since") {
            Some(Value::String(since)) => Some(since.clone()),
            Some(Value::Number(ms)) => ms
                .as_i64()
                .and_then(chrono::DateTime::from_timestamp_millis)
                .map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
            _ => None,
        };
        if let Some(since) = since {
            reason = format!("{reason} (since {since})");
        }
        checks.push(match text("health")? {
            "healthy" => Check::ok(check, text("reason").unwrap_or("works")),
            "unknown" => Check::unknown(check, reason),
            "unhealthy" => {
                let remedy = format!("docs/operations.md says what to do when {name} fails");
                Check::bad(check, reason, remedy)
            }
            other => Check::unknown(check, format!("is said to be {other}: {reason}")),
        });
    }
    (!checks.is_empty()).then_some(checks)
}

/// Signs in as somebody does, looks at their bot, wakes it, and asks it which gateway it is.
async fn sign_in_and_wake(
    platform: &Platform,
    configuration: &Configuration,
    checkout: &Checkout,
    user: &TestUser,
    pause: Duration,
) -> Vec<Check> {
    let token = match password_grant(platform, configuration, user).await {
        Err(check) => return vec![check],
        Ok(token) => token,
    };
    let mut checks = vec![Check::ok("sign-in", format!("{} signs in", user.email))];
    let get = |path: &str| {
        platform
            .client
            .get(format!("{}{path}", platform.url))
            .bearer_auth(&token)
    };
    match answer(get("/api/bot")).await {
        Ok((StatusCode::OK, _)) => {}
        Ok((status, body)) => {
            let reason = format!("GET /api/bot answers {status}: {}", problem(&body));
            let remedy = "look the answer's code up in docs/operations.md, under What a refusal means";
            checks.push(Check::bad("test bot", reason, remedy));
            return checks;
        }
        Err(why) => {
            checks.push(Check::unknown("test bot", why));
            return checks;
        }
    }
    let started = Instant::now();
    let woken = loop {
        let answered = answer(get("/")).await;
        match &answered {
            Ok((StatusCode::SERVICE_UNAVAILABLE, body))
                if PASSING.contains(&problem(body).as_str()) && started.elapsed() < WAKE_DEADLINE =>
            {
                tokio::time::sleep(pause).await;
            }
            _ => break answered,
        }
    };
    checks.push(match woken {
        Ok((StatusCode::OK, _)) => Check::ok(
            "test bot",
            format!("is awake and answers, after {} s", started.elapsed().as_secs()),
        ),
        Ok((status, body)) => Check::bad(
            "test bot",
            format!(
                "answers {status} after {} s: {}",
                started.elapsed().as_secs(),
                problem(&body)
            ),
            "read `reason` in GET /api/bot, and look the code up in docs/operations.md, under What a refusal means",
        ),
        Err(why) => Check::unknown("test bot", why),
    });
    checks.push(gateway(answer(get("/api/bot/snapshots")).await, checkout));
    checks
}

async fn password_grant(
    platform: &Platform,
    configuration: &Configuration,
    user: &TestUser,
) -> Result<String, Check> {
    const CHECK: &str = "sign-in";
    let (Some(supabase), Some(key)) = (
        configuration.variable(SUPABASE_URL),
        configuration.variable(SUPABASE_ANON_KEY),
    ) else {
        return Err(Check::unknown(
            CHECK,
            "SUPABASE_URL or SUPABASE_ANON_KEY is not set",
        ));
    };
    let url = format!(
        "{}/auth/v1/token?grant_type=password",
        supabase.trim_end_matches('/')
    );
    let body = serde_json::json!({ "email": user.email, "password": user.password });
    let request = platform.client.post(url).header("apikey", key).json(&body);
    let (status, body) = answer(request).await.map_err(|why| Check::unknown(CHECK, why))?;
    let document: Value = serde_json::from_str(&body).unwrap_or_default();
    let token = document.get("access_token").and_then(Value::as_str);
    match (status, token) {
        (StatusCode::OK, Some(token)) => Ok(token.to_owned()),
        (StatusCode::TOO_MANY_REQUESTS, _) => {
            Err(Check::unknown(CHECK, "Supabase answers: too many requests"))
        }
        (status, _) if status.is_client_error() => Err(Check::bad(
            CHECK,
            format!("Supabase refuses {}: {}", user.email, problem(&body)),
            "mend MOLTWORKER_TEST_EMAIL and MOLTWORKER_TEST_PASSWORD, or SUPABASE_URL and SUPABASE_ANON_KEY",
        )),
        (status, _) => Err(Check::unknown(CHECK, format!("Supabase answers {status}"))),
    }
}

/// A snapshot says which gateway wrote it.
fn gateway(snapshots: Result<(StatusCode, String), String>, checkout: &Checkout) -> Check {
    const CHECK: &str = "gateway";
    let document: Value = match snapshots {
        Ok((StatusCode::OK, body)) => serde_json::from_str(&body).unwrap_or_default(),
        Ok((status, _)) => return Check::unknown(CHECK, format!("GET /api/bot/snapshots answers {status}")),
        Err(why) => return Check::unknown(CHECK, why),
    };
    let newest = document
        .pointer("/snapshots/0/gateway_version")
        .and_then(Value::as_str);
    match (newest, checkout.gateway.as_deref()) {
        (None, _) => Check::unknown(
            CHECK,
            "the test user's bot has no snapshot yet that tells its version",
        )
        .remedied_by("run this again when the bot has slept once"),
        (_, None) => Check::unknown(CHECK, "this checkout does not say which version it has"),
        (Some(newest), Some(ours)) if newest == ours => Check::ok(
            CHECK,
            format!("the newest snapshot is of {ours}, as in this checkout"),
        ),
        (Some(newest), Some(ours)) => Check::unknown(
            CHECK,
            format!(
                "the newest snapshot is of {newest}, this checkout has {ours}; a bot that slept since then tells nothing newer"
            ),
        ),
    }
}

/// The code and words of a refusal; never the whole body, which may repeat what was sent.
fn problem(body: &str) -> String {
    let document: Value = serde_json::from_str(body).unwrap_or_default();
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    text("code")
        .or_else(|| text("error_code"))
        .or_else(|| text("type"))
        .or_else(|| text("error"))
        .unwrap_or("without a reason")
        .to_owned()
}

async fn answer(request: RequestBuilder) -> Result<(StatusCode, String), String> {
    let told = |error: reqwest::Error| unanswered(&error);
    let response = request.send().await.map_err(told)?;
    let status = response.status();
    Ok((status, response.text().await.map_err(told)?))
}

/// The names of checks that are bad.
pub(crate) fn bad_names(checks: &[Check]) -> Vec<&str> {
    checks
        .iter()
        .filter(|check| check.verdict == Verdict::Bad)
        .map(|check| check.check.as_str())
        .collect()
}
