//! What only tests need of the provider: to fail, to keep callers waiting, to publish other keys, to grant odd tokens,
//! and to say what it was asked. All of it is at one address, `/test-control`, which exists behind `--test-control`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::{API_KEY_HEADER, JWKS_PATH, Project};
use crate::dev::token::AccessClaims;

/// No body of a caller is longer.
const MAX_BYTES: usize = 1 << 20;

/// How the provider is to behave; the default is: as ever.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Overrides {
    /// Everything is answered with 500.
    down: bool,
    /// Calls wait until this is taken back.
    hold: bool,
    /// A refresh token works once: unlike the real one's, without a second chance.
    strict: bool,
    /// Statuses that are answered instead of anything else, by path with or without its query.
    answers: HashMap<String, u16>,
    /// Published instead of the provider's own keys.
    key_set: Option<Vec<Value>>,
    /// Seconds for which granted access tokens are valid.
    token_lifetime: Option<i64>,
    /// Claims of granted access tokens that are not what they should be.
    claims: Map<String, Value>,
}

/// One call, as it came in.
#[derive(Debug, Clone, Serialize)]
struct Call {
    /// Below `/auth/v1`, with the query.
    path: String,
    apikey: Option<String>,
    authorization: Option<String>,
    /// For which address it was made.
    sb_forwarded_for: Option<String>,
    body: Value,
}

#[derive(Debug, Default)]
pub(super) struct TestControl {
    overrides: watch::Sender<Overrides>,
    calls: Mutex<Vec<Call>>,
}

impl TestControl {
    pub(super) fn token_lifetime(&self) -> Option<i64> {
        self.overrides.borrow().token_lifetime
    }

    /// The claims of a token that is about to be granted, with the overridden ones.
    pub(super) fn apply(&self, claims: &AccessClaims) -> Value {
        let mut claims = json!(claims);
        if let Value::Object(claims) = &mut claims {
            claims.extend(self.overrides.borrow().claims.clone());
        }
        claims
    }
}

/// Puts the control in front of the API's routes, and its own address beside them.
pub(super) fn add(api: Router<Arc<Project>>, control: &Arc<TestControl>) -> [Router<Arc<Project>>; 2] {
    let api = api.layer(middleware::from_fn_with_state(Arc::clone(control), intervene));
    let own = Router::new().route("/test-control", get(calls).put(replace));
    let own = own.layer(axum::Extension(Arc::clone(control)));
    [api, own]
}

async fn calls(axum::Extension(control): axum::Extension<Arc<TestControl>>) -> Json<Value> {
    let calls = control.calls.lock().unwrap_or_else(PoisonError::into_inner);
    Json(json!({ "calls": *calls }))
}

/// Replaces all overrides.
async fn replace(
    State(project): State<Arc<Project>>,
    axum::Extension(control): axum::Extension<Arc<TestControl>>,
    Json(overrides): Json<Overrides>,
) {
    project.sessions().set_strict(overrides.strict);
    control.overrides.send_replace(overrides);
}

async fn intervene(State(control): State<Arc<TestControl>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BYTES).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let call = Call {
        path: parts.uri.to_string(),
        apikey: text(&parts.headers, API_KEY_HEADER),
        authorization: text(&parts.headers, header::AUTHORIZATION.as_str()),
        sb_forwarded_for: text(&parts.headers, "sb-forwarded-for"),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let asked = call.path.clone();
    control
        .calls
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(call);
    let mut overrides = control.overrides.subscribe();
    let instead = match overrides.wait_for(|overrides| !overrides.hold).await {
        Ok(overrides) => instead(&overrides, parts.uri.path(), &asked),
        Err(_) => None,
    };
    match instead {
        Some(answer) => answer,
        None => next.run(Request::from_parts(parts, Body::from(body))).await,
    }
}

/// What is answered in place of the truth.
fn instead(overrides: &Overrides, path: &str, asked: &str) -> Option<Response> {
    if overrides.down {
        return Some((StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "msg": "down" }))).into_response());
    }
    if let Some(status) = overrides
        .answers
        .get(asked)
        .or_else(|| overrides.answers.get(path))
    {
        let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::IM_A_TEAPOT);
        return Some((status, Json(json!({}))).into_response());
    }
    let keys = overrides.key_set.as_ref().filter(|_| path == JWKS_PATH)?;
    Some(Json(json!({ "keys": keys })).into_response())
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}
