//! The Sandbox's questions, answered to whoever holds this run's token.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, Method, Request, Response};
use moltworker_core::control::{DEFAULT_LOG_LINES, LOGS_PATH, STATUS_PATH, Status};
use moltworker_core::problem::Refusal;
use moltworker_core::run::RunSettings;
use subtle::ConstantTimeEq;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::answer;
use crate::life::View;
use crate::listener::Body;
use crate::logs::Logs;

/// What the control port needs to know.
pub(crate) struct Control {
    /// What the Sandbox said at the start; its token is what a caller must present.
    pub(crate) run: RunSettings,
    /// What the gateway's life looks like now.
    pub(crate) view: watch::Receiver<View>,
    /// The gateway's last words.
    pub(crate) logs: Arc<Logs>,
    /// When the supervisor started.
    pub(crate) since: Instant,
}

/// Answers one question.
pub(crate) fn handle(control: &Control, request: &Request<Incoming>) -> Response<Body> {
    if !is_authorised(request.headers(), control.run.control_token.reveal()) {
        return answer::refuse(Refusal::BearerRequired);
    }
    match (request.uri().path(), request.method()) {
        (STATUS_PATH, &Method::GET) => answer::json(&control.status()),
        (LOGS_PATH, &Method::GET) => match lines(request.uri().query()) {
            Ok(lines) => answer::text(control.logs.last(lines)),
            Err(refusal) => answer::refuse(refusal),
        },
        (STATUS_PATH | LOGS_PATH, _) => answer::refuse(Refusal::WrongMethod),
        _ => answer::refuse(Refusal::NotFound),
    }
}

impl Control {
    fn status(&self) -> Status {
        let view = self.view.borrow().clone();
        Status {
            user: self.run.user,
            run: self.run.run,
            supervisor_version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            phase: view.phase,
            gateway_pid: view.pid,
            start: view.start,
            restarts: view.restarts,
            last_exit: view.last_exit,
        }
    }
}

/// Compares without telling by its duration how much was right.
fn is_authorised(headers: &HeaderMap, token: &str) -> bool {
    let mut presented = headers.get_all(AUTHORIZATION).into_iter();
    let (Some(value), None) = (presented.next(), presented.next()) else {
        return false;
    };
    let Some((scheme, value)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
        return false;
    };
    scheme.eq_ignore_ascii_case("bearer") && bool::from(value.as_bytes().ct_eq(token.as_bytes()))
}

fn lines(query: Option<&str>) -> Result<usize, Refusal> {
    let lines = query
        .unwrap_or_default()
        .split('&')
        .find_map(|pair| pair.strip_prefix("lines="));
    match lines {
        None => Ok(DEFAULT_LOG_LINES),
        Some(lines) => lines.parse().map_err(|_| Refusal::NotFound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_opens() {
        let token = "0123456789abcdef0123456789abcdef";
        let with = |values: &[String]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            is_authorised(&headers, token)
        };
        assert!(with(&[format!("Bearer {token}")]));
        assert!(with(&[format!("bearer {token}")]));
        for refused in [
            vec![],
            vec![token.to_owned()],
            vec![format!("Basic {token}")],
            vec!["Bearer ".to_owned()],
            vec![format!("Bearer {}", token.trim_start_matches('0'))],
            vec![format!("Bearer {token}x")],
            vec![format!("Bearer  {token}")],
            vec![format!("Bearer {token}"), format!("Bearer {token}")],
        ] {
            assert!(!with(&refused), "{refused:?}");
        }
    }

    #[test]
    fn the_number_of_lines_is_a_number() {
        assert_eq!(lines(None), Ok(DEFAULT_LOG_LINES));
        assert_eq!(lines(Some("a=1&lines=7")), Ok(7));
        assert_eq!(lines(Some("lines=-1")), Err(Refusal::NotFound));
    }
}
