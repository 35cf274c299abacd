//! Errors as the real identity provider words them.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

const VERSION_HEADER: &str = "x-supabase-api-version";
const CODE_HEADER: &str = "x-sb-error-code";
/// From this API version on, errors have another shape. Dates in this form compare as text.
const SECOND_VERSION: &str = "2024-01-01";

/// Why a request was refused.
#[derive(Debug, Clone)]
pub(super) enum AuthError {
    /// Refused by the Auth server.
    Auth {
        status: StatusCode,
        code: &'static str,
        message: String,
    },
    /// Refused in OAuth 2's own form.
    OAuth {
        error: &'static str,
        description: &'static str,
    },
    /// Refused by the gateway in front of all of a project's APIs.
    Gateway {
        message: &'static str,
        hint: &'static str,
    },
}

impl AuthError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self::Auth {
            status,
            code,
            message: message.into(),
        }
    }

    pub(super) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    fn body(&self, second_version: bool) -> (StatusCode, Value) {
        match self {
            Self::Auth {
                status,
                code,
                message,
            } if second_version => (*status, json!({ "code": code, "message": message })),
            Self::Auth {
                status,
                code,
                message,
            } => (
                *status,
                json!({ "code": status.as_u16(), "error_code": code, "msg": message }),
            ),
            Self::OAuth { error, description } => (
                StatusCode::BAD_REQUEST,
                json!({ "error": error, "error_description": description }),
            ),
            Self::Gateway { message, hint } => (
                StatusCode::UNAUTHORIZED,
                json!({ "message": message, "hint": hint }),
            ),
        }
    }
}

impl IntoResponse for AuthError {
    /// Carries the error to [`word_errors`], which knows which version the caller speaks.
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Words each error in the version of the API that the request asked for.
pub(super) async fn word_errors(request: Request, next: Next) -> Response {
    let second_version = speaks_second_version(request.headers());
    let mut response = next.run(request).await;
    let Some(error) = response.extensions_mut().remove::<AuthError>() else {
        return response;
    };

    let (status, body) = error.body(second_version);
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    if let AuthError::Auth { code, .. } = error {
        headers.insert(CODE_HEADER, HeaderValue::from_static(code));
        if second_version {
            headers.insert(VERSION_HEADER, HeaderValue::from_static(SECOND_VERSION));
        }
    }
    response
}

fn speaks_second_version(headers: &HeaderMap) -> bool {
    headers
        .get(VERSION_HEADER)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|date| date >= SECOND_VERSION)
}
