//! Keeps web pages away from the model server.
//!
//! Any page a developer visits can make their browser send requests to loopback. With a key behind it the
//! server must not answer those: browsers add an `Origin` to them, and a name that was pointed at loopback
//! on purpose shows in `Host`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

pub(super) async fn programs_only(
    State(hosts): State<Arc<Vec<String>>>,
    request: Request,
    next: Next,
) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    if request.headers().contains_key(header::ORIGIN) || !hosts.iter().any(|ours| ours == name) {
        return (
            StatusCode::FORBIDDEN,
            "this endpoint is for local programs, not for web pages\n",
        )
            .into_response();
    }
    next.run(request).await
}
