//! Passes a bot's requests on to the real API and adds the developer's key on the way.

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use reqwest::redirect;

use crate::dev::environment::RealModel;

/// Headers that belong to one connection, and those this server decides itself.
const NOT_PASSED_ON: [HeaderName; 9] = [
    header::HOST,
    header::AUTHORIZATION,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::COOKIE,
];

#[derive(Clone)]
struct Upstream {
    client: reqwest::Client,
    base_url: String,
    authorization: HeaderValue,
}

pub(super) fn router(real: &RealModel) -> Result<Router> {
    crate::dev::install_tls();
    let client = reqwest::Client::builder()
        // A redirect would carry the key to wherever it points.
        .redirect(redirect::Policy::none())
        .build()
        .context("cannot make an HTTP client")?;
    let mut authorization = HeaderValue::from_str(&format!("Bearer {}", real.key))
        .context("OPENAI_API_KEY has characters that no key has")?;
    authorization.set_sensitive(true);
    let upstream = Upstream {
        client,
        base_url: real.base_url.trim_end_matches('/').to_owned(),
        authorization,
    };
    Ok(Router::new()
        .route("/v1/{*path}", axum::routing::any(pass_on))
        .with_state(upstream))
}

async fn pass_on(State(upstream): State<Upstream>, request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("", |path| path.as_str());
    let url = format!(
        "{}{}",
        upstream.base_url,
        path.strip_prefix("/v1").unwrap_or(path)
    );
    let (parts, body) = request.into_parts();
    let answer = upstream
        .client
        .request(parts.method, &url)
        .headers(end_to_end(&parts.headers))
        .header(header::AUTHORIZATION, upstream.authorization)
        .body(reqwest::Body::wrap_stream(body.into_data_stream()))
        .send()
        .await;
    match answer {
        Ok(answer) => {
            let (status, headers) = (answer.status(), end_to_end(answer.headers()));
            (status, headers, Body::from_stream(answer.bytes_stream())).into_response()
        }
        Err(error) => {
            let reason = format!("the model's API cannot be reached: {error}\n");
            eprint!("model: {reason}");
            (StatusCode::BAD_GATEWAY, reason).into_response()
        }
    }
}

fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut passed = headers.clone();
    for name in NOT_PASSED_ON {
        passed.remove(name);
    }
    passed
}
