//! The Sandbox's questions and orders, answered to whoever holds this run's token.

mod channels;
mod config;
mod devices;
mod home;
mod metrics;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, Method, Request, Response};
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::channels::CHANNELS_PATH;
use moltworker_core::wire::config::CONFIG_PATH;
use moltworker_core::wire::control::{
    DEFAULT_LOG_LINES, DRAIN_PATH, GatewayPhase, LOGS_PATH, METRICS_PATH, PROCESSES_PATH, QUIESCE_PATH,
    RESTART_PATH, STATUS_PATH, Status,
};
use moltworker_core::wire::devices::DeviceCall;
use moltworker_core::wire::home_path::HomePath;
use subtle::ConstantTimeEq;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;

use crate::backup::launcher::JobLauncher;
use crate::control::metrics::ExtraMetrics;
use crate::http::answer;
use crate::http::body::Body;
use crate::output::Logs;
use crate::settings::Settings;
use crate::supervisor::gateway_rpc::Rpc;
use crate::supervisor::processes;
use crate::supervisor::quiesce::Quiescence;
use crate::supervisor::signals::SupervisorCommand;
use crate::supervisor::status::StatusSources;

/// How long a client may take to send a request's head, or leave a kept connection unused. The Sandbox has the head whole
/// when it connects; who dawdles is somebody else.
pub(crate) const HEAD_DEADLINE: Duration = Duration::from_secs(5);

/// So many follow the log at once: some pages of an owner and of admins.
pub(crate) const MAX_FOLLOWERS: usize = 16;
/// So many of these places are for admins alone: what an owner's pages leave open does not keep them out.
const MIN_ADMIN_PLACES: usize = 4;
/// Nobody who still reads takes longer for a piece: it has the lines that are kept at most.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);
/// So many look at the config or the channels at once, or wait for their turn to change it: each look is a process or a try of each
/// channel, and each change has a config of its own in memory.
pub(crate) const MAX_LOOKS: usize = 4;
/// And for so long: of somebody whose connection was cut without a word nothing else tells. A page asks again.
const MAX_FOLLOWED: Duration = Duration::from_secs(30 * 60);

/// What the control port needs to know.
pub(crate) struct Control {
    /// How things are; its run's token is what a caller must present.
    pub(crate) account: StatusSources,
    /// The gateway's last words.
    pub(crate) logs: Arc<Logs>,
    /// Whether the bot may be put to sleep.
    pub(crate) quiescence: Quiescence,
    /// Where the bot's repository is asked, if it has one.
    pub(crate) launcher: Option<Arc<JobLauncher>>,
    /// Where orders go.
    pub(crate) ask: mpsc::Sender<SupervisorCommand>,
    /// What the supervisor was told.
    pub(crate) settings: Arc<Settings>,
    /// The way to the gateway.
    pub(crate) rpc: Rpc,
    /// Places for those who follow the log.
    pub(crate) followers: Arc<Semaphore>,
    /// Places for those who look at the config or the channels, or change the config.
    pub(crate) looks: Semaphore,
    /// By which a config is told from another one.
    pub(crate) config_key: [u8; 32],
    /// Whose turn it is to change the config.
    pub(crate) config_turn: Mutex<()>,
}

/// Why something is not answered, and what more there is to say about it.
pub(crate) type Refused = (Refusal, Option<String>);

/// Answers one question, or passes one order on.
pub(crate) async fn handle(control: Arc<Control>, request: Request<Incoming>) -> Response<Body> {
    if !is_authorised(request.headers(), control.account.run.control_token.reveal()) {
        return answer::refuse(Refusal::BearerRequired);
    }
    if home::are_asked(request.uri().path()) {
        let answered = home::handle(&control, request).await;
        return answered.unwrap_or_else(|(refusal, detail)| answer::explain(refusal, detail));
    }
    if request.uri().path() == CONFIG_PATH {
        let answered = config::handle(&control, request).await;
        return answered.unwrap_or_else(|(refusal, detail)| answer::explain(refusal, detail));
    }
    if request.uri().path() == CHANNELS_PATH {
        let answered = channels::handle(&control, request.method()).await;
        return answered.unwrap_or_else(|(refusal, detail)| answer::explain(refusal, detail));
    }
    if let Some(call) = DeviceCall::at(request.uri().path()) {
        let answered = devices::handle(&control, call, request).await;
        return answered.unwrap_or_else(|(refusal, detail)| answer::explain(refusal, detail));
    }
    if (request.uri().path(), request.method()) == (QUIESCE_PATH, &Method::POST) {
        return match home::take_token(&control, request).await {
            Ok(()) => answer::json(&control.quiescence.may_begin().await),
            Err((refusal, detail)) => answer::explain(refusal, detail),
        };
    }
    let query = request.uri().query();
    let answered = match (request.uri().path(), request.method()) {
        (STATUS_PATH, &Method::GET) => Ok(answer::json(&control.account.status())),
        (PROCESSES_PATH, &Method::GET) => Ok(answer::json(&processes::largest())),
        (METRICS_PATH, &Method::GET) => Ok(answer::metrics(control.metrics())),
        (LOGS_PATH, &Method::GET) => control.logs(query),
        (RESTART_PATH, &Method::POST) => control.order(SupervisorCommand::Restart).await,
        (DRAIN_PATH, &Method::POST) => match number(query, "grace_ms") {
            Ok(grace) => {
                control
                    .order(SupervisorCommand::Stop(grace.map(Duration::from_millis)))
                    .await
            }
            Err(refusal) => Err(refusal),
        },
        (
            STATUS_PATH | PROCESSES_PATH | METRICS_PATH | LOGS_PATH | QUIESCE_PATH | RESTART_PATH
            | DRAIN_PATH,
            _,
        ) => Err(Refusal::WrongMethod),
        _ => Err(Refusal::NotFound),
    };
    answered.unwrap_or_else(answer::refuse)
}

impl Control {
    fn metrics(&self) -> String {
        let more = ExtraMetrics {
            requests: self.account.activity.total(),
            ignored_events: self.account.view.borrow().ignored,
            own_resident: processes::own_resident(),
        };
        metrics::text(&self.account.status(), &more)
    }

    /// Passes an order on and answers how things were before it is carried out.
    pub(crate) async fn order(&self, asked: SupervisorCommand) -> Result<Response<Body>, Refusal> {
        let before: Status = self.account.status();
        // A gateway that is ending for good is not started again; that it ends can be hurried.
        if before.phase == GatewayPhase::Draining && !matches!(asked, SupervisorCommand::Stop(_)) {
            return Err(Refusal::BotStopping);
        }
        // Nobody takes orders once the supervisor leaves.
        self.ask.send(asked).await.map_err(|_| Refusal::BotStopping)?;
        Ok(answer::accepted(&before))
    }

    fn logs(&self, query: Option<&str>) -> Result<Response<Body>, Refusal> {
        let lines = number(query, "lines")?.unwrap_or(DEFAULT_LOG_LINES);
        let contains = Contains::read(value(query, "contains"))?;
        match value(query, "follow") {
            None | Some("0") => Ok(answer::text(contains.last(&self.logs, lines))),
            Some("1") => {
                let is_admin = value(query, "admin") == Some("1");
                if !is_admin && self.followers.available_permits() <= MIN_ADMIN_PLACES {
                    return Err(Refusal::TooMany);
                }
                let place = Arc::clone(&self.followers).try_acquire_owned();
                let place = place.map_err(|_| Refusal::TooMany)?;
                Ok(answer::following(self.follow(lines, contains, place)))
            }
            Some(_) => Err(Refusal::NotFound),
        }
    }

    /// The last lines and those to come, until nobody reads them, the supervisor leaves, or it was long enough.
    fn follow(&self, lines: usize, contains: Contains, place: OwnedSemaphorePermit) -> mpsc::Receiver<Bytes> {
        let (words, read) = mpsc::channel(1);
        let logs = Arc::clone(&self.logs);
        let mut view = self.account.view.clone();
        let (mut next, mut changed) = (logs.before_last(0), logs.next());
        let before = contains.last(&logs, lines);
        let end = Instant::now() + MAX_FOLLOWED;
        tokio::spawn(async move {
            let _place = place;
            if !before.is_empty() && !take(&words, before, end, &mut view).await {
                return;
            }
            loop {
                changed.mark_unchanged();
                let (text, after) = logs.since(next);
                next = after;
                let text = contains.of(&text);
                if !text.is_empty() && !take(&words, text, end, &mut view).await {
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep_until(end) => return,
                    _ = changed.changed() => {}
                    // An error: its other end is gone, because the supervisor leaves.
                    _ = view.wait_for(|_| false) => return,
                    () = words.closed() => return,
                }
            }
        });
        read
    }
}

/// Whether the follower takes this in time, and the supervisor stays: who does not read keeps no place from others.
async fn take<V>(
    words: &mpsc::Sender<Bytes>,
    text: String,
    end: Instant,
    view: &mut watch::Receiver<V>,
) -> bool {
    let until = end.min(Instant::now() + TAKEN_WITHIN);
    tokio::select! {
        sent = words.send(Bytes::from(text)) => sent.is_ok(),
        () = tokio::time::sleep_until(until) => false,
        _ = view.wait_for(|_| false) => false,
    }
}

/// Which lines are wanted.
struct Contains(Option<String>);

impl Contains {
    /// What stands in the query, percent-encoded.
    fn read(value: Option<&str>) -> Result<Self, Refusal> {
        let Some(value) = value else {
            return Ok(Self(None));
        };
        let text = HomePath::decode(value).ok_or(Refusal::NotFound)?;
        Ok(Self(Some(text.to_string().to_lowercase())))
    }

    /// The last of all such lines.
    fn last(&self, logs: &Logs, count: usize) -> String {
        if self.0.is_none() {
            return logs.last(count);
        }
        let found = self.of(&logs.last(usize::MAX));
        let skipped = found.lines().count().saturating_sub(count);
        found.split_inclusive('\n').skip(skipped).collect()
    }

    /// Those of these lines.
    fn of(&self, lines: &str) -> String {
        let Some(wanted) = &self.0 else {
            return lines.to_owned();
        };
        let lines = lines.split_inclusive('\n');
        lines
            .filter(|line| line.to_lowercase().contains(wanted))
            .collect()
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

pub(crate) fn value<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    let mut pairs = query.unwrap_or_default().split('&');
    pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn number<T: FromStr>(query: Option<&str>, name: &str) -> Result<Option<T>, Refusal> {
    let number = value(query, name).map(str::parse).transpose();
    number.map_err(|_| Refusal::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_complete_control_token_is_accepted() {
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

    #[tokio::test(flavor = "current_thread")]
    async fn who_does_not_read_loses_the_place() {
        let (words, mut read) = mpsc::channel(1);
        let (seen, mut view) = watch::channel(());
        let soon = || Instant::now() + Duration::from_millis(20);
        let late = || Instant::now() + MAX_FOLLOWED;
        assert!(take(&words, "one".into(), late(), &mut view).await);
        assert!(
            !take(&words, "two".into(), soon(), &mut view).await,
            "the channel is full"
        );
        assert_eq!(read.recv().await.as_deref(), Some(&b"one"[..]));
        assert!(take(&words, "three".into(), late(), &mut view).await);
        drop(seen);
        assert!(
            !take(&words, "four".into(), late(), &mut view).await,
            "the supervisor leaves"
        );
    }

    #[test]
    fn a_query_parameter_is_parsed_or_refused() {
        assert_eq!(number::<usize>(None, "lines"), Ok(None));
        assert_eq!(number::<usize>(Some("a=1&lines=7"), "lines"), Ok(Some(7)));
        assert_eq!(number::<usize>(Some("lines=-1"), "lines"), Err(Refusal::NotFound));
        assert_eq!(value(Some("follower=1"), "follow"), None);
    }
}
