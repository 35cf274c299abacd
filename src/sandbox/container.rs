//! The container of a Sandbox: its start, and what its supervisor says on the control port.

use std::time::Duration;

use js_sys::{Object, Promise, Reflect};
use moltworker_core::bot::lifecycle::MaySleep;
use moltworker_core::wire::control::{
    MAX_ANSWER_BYTES, QUIESCE_PATH, Quiesce, QuiesceRequest, RESTART_PATH, STATUS_PATH, Status,
};
use moltworker_core::wire::run::{CONTROL_PORT, ControlToken, IngressSecret, Run, RunSettings, SnapshotId};
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use worker::{Container, Error, Headers, Method, Response, Result};

use super::Inner;
use super::store::Store;
use crate::platform::{clock, json, log, outgoing, webcrypto};

/// How long a supervisor may take to tell its status: it answers from memory.
const STATUS_DEADLINE: Duration = Duration::from_secs(5);
/// How long a supervisor may take to say whether its bot may sleep: it asks the gateway, for at most ten
/// seconds.
const QUIESCE_DEADLINE: Duration = Duration::from_secs(15);
/// Random bytes in a secret of a run: 256 bits.
const SECRET_BYTES: u32 = 32;

#[wasm_bindgen]
extern "C" {
    /// `ctx.container` in our own words, for two defects of worker 0.8.7's binding. Its
    /// `ContainerStartupOptions` hands over `env` as a `Map`, of which the runtime reads no entry: every
    /// variable would be missing in the container (`tests/worker/life.test.mjs` looks for them). And its
    /// `monitor` and `destroy` do not catch: an exception would end the wasm instance, and with it the
    /// memory of every other object in the isolate.
    type PlainContainer;

    #[wasm_bindgen(method, catch)]
    fn monitor(this: &PlainContainer) -> std::result::Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn destroy(this: &PlainContainer) -> std::result::Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn start(this: &PlainContainer, options: &Object) -> std::result::Result<(), JsValue>;
}

fn plain(container: &Container) -> &PlainContainer {
    container.as_ref().unchecked_ref()
}

/// Starts a container. Returns at once; whether it came up is for the watch to find out.
fn start(container: &Container, settings: &RunSettings) -> Result<()> {
    let env = Object::new();
    for (name, value) in settings.to_env() {
        Reflect::set(&env, &name.into(), &value.into())?;
    }
    let options = Object::new();
    Reflect::set(&options, &"env".into(), &env)?;
    // The bot talks to model providers and chat networks.
    Reflect::set(&options, &"enableInternet".into(), &JsValue::TRUE)?;
    Ok(plain(container).start(&options)?)
}

/// Why a container was not started.
pub(super) enum NotStarted {
    /// The bucket lacks the newest snapshot that is known.
    SnapshotMissing(SnapshotId),
    /// Something of ours, or the platform's.
    Broken(Error),
}

impl From<Error> for NotStarted {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl NotStarted {
    /// Why, for the bot's owner.
    pub(super) fn owner_message(&self) -> String {
        match self {
            Self::SnapshotMissing(id) => format!(
                "the newest snapshot, {id}, is not in the storage any more; nothing is started on an older state before \
                 somebody restores one, or accepts that it is gone"
            ),
            Self::Broken(_) => "the platform had no container to start".to_owned(),
        }
    }
}

fn new_secret<T>(of: impl FnOnce(String) -> std::result::Result<T, &'static str>) -> Result<T> {
    let bytes = webcrypto::random_bytes(SECRET_BYTES)?;
    let text = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    of(text).map_err(|reason| Error::RustError(reason.into()))
}

impl Inner {
    /// Starts this run's container with its own secrets and everything it must know.
    pub(super) async fn start_container(&self, run: Run) -> std::result::Result<(), NotStarted> {
        let settings = self.settings()?;
        let restore = self
            .restore_point(run)
            .await?
            .map_err(NotStarted::SnapshotMissing)?;
        let repository = self.repository_access(run, restore).await?;
        // Between two lines of the one above, somebody may have ordered otherwise. From here on nothing waits.
        if !self.life().is_starting(run) {
            return Err(Error::RustError("it is not wanted any more".into()).into());
        }
        let control_token = new_secret(ControlToken::new)?;
        let ingress_secret = new_secret(IngressSecret::new)?;
        Store::open(&self.state)?.save_run_secrets(run, &control_token, &ingress_secret)?;
        let run_settings = RunSettings {
            user: self.user()?,
            run,
            control_token,
            ingress_secret: Some(ingress_secret),
            allowed_origins: vec![settings.public.as_str().to_owned()],
            offered_model: settings.offered_model.clone(),
            repository: Some(repository),
        };
        Ok(start(&self.container()?, &run_settings)?)
    }

    /// Resolves when the container has ended.
    ///
    /// # Errors
    /// The runtime's words for how, when it did not end well.
    pub(super) async fn exit(&self) -> std::result::Result<(), String> {
        let ended = async {
            let monitor = plain(&self.container()?).monitor()?;
            JsFuture::from(monitor).await.map(drop).map_err(Error::from)
        };
        ended
            .await
            .map_err(|error| format!("the container failed: {error}"))
    }

    /// Kills the container.
    pub(super) async fn kill_container(&self) -> Result<()> {
        {
            let mut memory = self.memory.borrow_mut();
            // Not the life's run: that may be the next one already.
            memory.killed = memory.watched;
        }
        let killed = plain(&self.container()?).destroy()?;
        Ok(JsFuture::from(killed).await.map(drop)?)
    }

    /// What the supervisor of `run` says about itself.
    ///
    /// # Errors
    /// It does not answer in time, or a supervisor of another run answers.
    pub(super) async fn ask_supervisor(&self, run: Run) -> Result<Status> {
        let status: Status = self
            .read_control(run, STATUS_PATH, STATUS_DEADLINE, MAX_ANSWER_BYTES)
            .await?;
        if status.run != run {
            return Err(Error::RustError(format!(
                "the supervisor of run {} answered",
                status.run
            )));
        }
        Ok(status)
    }

    /// Whether this run's bot may be put to sleep. From a yes on the gateway takes no new work.
    pub(super) async fn ask_may_sleep(&self, run: Run) -> MaySleep {
        let asked = async {
            let token = self.fresh_token(run).await?;
            let body = serde_json::to_string(&QuiesceRequest { token })?;
            let post = self.control(run, Method::Post, QUIESCE_PATH, Some(body), QUIESCE_DEADLINE);
            json::within(&mut post.await?, MAX_ANSWER_BYTES).await
        };
        match clock::within(QUIESCE_DEADLINE, asked).await {
            Ok(Quiesce::Busy {
                blockers,
                retry_after_ms,
            }) => {
                log::line("sleep-put-off", &[("run", &run), ("for", &blockers.join(", "))]);
                MaySleep::Busy {
                    again_ms: retry_after_ms,
                }
            }
            // Where the gateway cannot be asked, the stop's own drain is what protects its work.
            Ok(Quiesce::Ready | Quiesce::Unsupported | Quiesce::NoGateway) => MaySleep::Yes,
            Ok(Quiesce::Unsaved) => {
                log::line(
                    "sleep-put-off",
                    &[("run", &run), ("for", &"changes that are not saved")],
                );
                MaySleep::Unknown
            }
            Ok(Quiesce::Unknown) => MaySleep::Unknown,
            Err(error) => {
                log::line("sleep-unanswered", &[("run", &run), ("reason", &error)]);
                MaySleep::Unknown
            }
        }
    }

    /// Has this run's supervisor start its gateway again, whatever it gave up before.
    pub(super) async fn restart_gateway(&self, run: Run) -> Result<()> {
        self.control(run, Method::Post, RESTART_PATH, None, STATUS_DEADLINE)
            .await
            .map(drop)
    }

    /// One order to the control port of `run`, with what goes with it; the answer whatever it is.
    pub(super) async fn ask_control_with(&self, run: Run, path: &str, order: String) -> Result<Response> {
        self.ask_control(run, Method::Post, path, Some(order), STATUS_DEADLINE)
            .await
    }

    /// What the control port of `run` answers to a question, all of it in time and of at most `max` bytes.
    pub(super) async fn read_control<T: DeserializeOwned>(
        &self,
        run: Run,
        path: &str,
        deadline: Duration,
        max: usize,
    ) -> Result<T> {
        let read = async {
            let mut answer = self.control(run, Method::Get, path, None, deadline).await?;
            json::within(&mut answer, max).await
        };
        clock::within(deadline, read).await
    }

    /// One question or order to the control port of `run` that is answered well.
    pub(super) async fn control(
        &self,
        run: Run,
        method: Method,
        path: &str,
        body: Option<String>,
        deadline: Duration,
    ) -> Result<Response> {
        require_success(self.ask_control(run, method, path, body, deadline).await?)
    }

    /// One question or order to the control port of `run`, with that run's secret; the answer whatever it is.
    pub(super) async fn ask_control(
        &self,
        run: Run,
        method: Method,
        path: &str,
        body: Option<String>,
        deadline: Duration,
    ) -> Result<Response> {
        let token = Store::open(&self.state)?.control_token(run)?;
        let token =
            token.ok_or_else(|| Error::RustError("no control token is stored for this run".into()))?;
        let headers = Headers::new();
        headers.set("authorization", &format!("Bearer {}", token.reveal()))?;
        let url = format!("http://container{path}");
        let request = outgoing::request(&method, &url, &headers, body.as_deref())?;
        let port = self.container()?.get_tcp_port(CONTROL_PORT)?;
        clock::within(deadline, port.fetch_request(request)).await
    }
}

/// An answer, unless it is a refusal.
pub(super) fn require_success(answer: Response) -> Result<Response> {
    match answer.status_code() {
        200..=299 => Ok(answer),
        status => Err(Error::RustError(format!("the supervisor answered {status}"))),
    }
}
