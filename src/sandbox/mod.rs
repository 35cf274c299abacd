//! The Sandbox: the Durable Object `openclaw-<userId>`, one writer of one bot's state.
//!
//! This file receives commands. `serve` answers the owner's traffic; `lifecycle` turns events into state and effects;
//! `container` and `store` are what effects touch; `slots` asks for a free slot. `backups` looks after the bot's snapshots
//! by what `snapshot_index` stores of them, and `holds` keeps in the bucket which must stay; `snapshot_calls` answers what people
//! ask of them and `snapshot_reads` what is in them; `repository` mints what opens
//! them. `output` tells what the gateway wrote, `config` and `devices` what its config and its devices are. `sessions` keeps the person's browser sessions and `second_factor` asks for
//! a code in one, which have nothing to do with the bot's life. `registry` writes the bot's row in D1, `vitals` what of it is how
//! the bot is, and its series. `usage` counts what the bot uses and what that costs.

mod answer;
mod backups;
mod bulk;
mod channels;
mod config;
mod container;
mod devices;
mod holds;
mod lifecycle;
mod observation;
mod output;
mod registry;
mod repository;
mod second_factor;
mod serve;
mod sessions;
mod slots;
mod snapshot_calls;
mod snapshot_index;
mod snapshot_reads;
mod store;
mod usage;
mod vitals;

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use futures::channel::oneshot;
use js_sys::Promise;
use moltworker_core::api::bot::{BotStatus, Health, ObservedStatus};
use moltworker_core::api::sandbox::{Order, SandboxAnswer, SandboxCommand};
use moltworker_core::bot::incidents::IncidentKind;
use moltworker_core::bot::lifecycle::{
    Authority, Lifecycle, LifecycleEvent, LifecycleState, SupervisorReport,
};
use moltworker_core::http::problem::Refusal;
use moltworker_core::metrics::bots::StartWatch;
use moltworker_core::settings::Settings;
use moltworker_core::user_id::UserId;
use moltworker_core::wire::control::Status;
use moltworker_core::wire::run::{IngressSecret, Run};
use wasm_bindgen::prelude::*;
use worker::worker_sys::DurableObjectState;
use worker::{Env, State, web_sys};

use crate::alerts;
use crate::platform::log::Subject;
use crate::platform::{clock, configuration, log, tasks, watch};
use answer::Reply;
use holds::HoldsTurn;
use registry::Registry;
use sessions::Renewing;
use usage::UsageCounter;
pub(crate) use vitals::COLUMNS as VITAL_COLUMNS;
use vitals::Vitals;

/// One user's bot.
///
/// Exported by hand and not by `#[durable_object]`, which turns each request and each answer into `worker`'s own and
/// back: those read every part of it, and an answer becomes another object than the container's.
#[wasm_bindgen]
pub struct Sandbox {
    inner: Rc<Inner>,
}

/// What handlers and the watch over a run share. Lives as long as the object is in memory; everything that
/// must outlive it is in the store.
struct Inner {
    state: State,
    env: Env,
    settings: OnceCell<Rc<Settings>>,
    /// Whom its log lines are about: asking for the object's name is a call, and each request would make it.
    subject: OnceCell<Option<Subject>>,
    memory: RefCell<Memory>,
    renewing: Renewing,
    registry: Registry,
    holds_turn: HoldsTurn,
    usage: UsageCounter,
    vitals: Vitals,
}

#[derive(Default)]
struct Memory {
    /// Loaded from the store by the first event.
    life: Option<Lifecycle>,
    /// The run somebody already waits for the end of.
    watched: Option<Run>,
    /// What the supervisor last said, of which run.
    observed: Option<(Run, Rc<Status>)>,
    /// Measures the start that is under way.
    start_watch: StartWatch,
    /// The run whose supervisor did not answer when it was asked last.
    silent: Option<Run>,
    /// When the owner's traffic last did something, by what it said; zero while it has said nothing.
    active_at: u64,
    /// When it was last asked.
    asked_at: u64,
    /// The run whose container was killed last.
    killed: Option<Run>,
    /// Whether what it last said of the backups is in the store.
    recorded: bool,
    /// What proves to the ingress of this run who we are, if it was started with such a secret.
    ingress_secret: Option<(Run, Option<IngressSecret>)>,
    /// When the last restore that somebody ordered was done, if browsers are still told of it.
    restored_at: Option<u64>,
    /// Requests that wait for the next change of state.
    waiting: Vec<oneshot::Sender<()>>,
}

#[wasm_bindgen]
impl Sandbox {
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        Self {
            inner: Rc::new(Inner {
                state: state.into(),
                env,
                settings: OnceCell::new(),
                subject: OnceCell::new(),
                memory: RefCell::default(),
                renewing: Renewing::default(),
                registry: Registry::default(),
                holds_turn: HoldsTurn::default(),
                usage: UsageCounter::default(),
                vitals: Vitals::default(),
            }),
        }
    }

    pub fn fetch(&self, request: web_sys::Request) -> Promise {
        let inner = Rc::clone(&self.inner);
        let subject = inner.subject();
        let work = async move { Ok(inner.fetch(request).await?.into()) };
        tasks::promise(log::about(subject, work))
    }

    pub fn alarm(&self) -> Promise {
        let inner = Rc::clone(&self.inner);
        let subject = inner.subject();
        let work = async move {
            inner.handle_event(LifecycleEvent::AlarmRang).await?;
            inner.update_registry();
            inner.update_usage();
            if watch::is_due() {
                log::spawn(async move { alerts::look_for_cron(&inner.env).await });
            }
            Ok(JsValue::UNDEFINED)
        };
        tasks::promise(log::about(subject, work))
    }
}

/// What was observed of a gateway counts only while there is one to observe.
fn has_health(life: &Lifecycle) -> bool {
    matches!(
        life.state,
        LifecycleState::Running
            | LifecycleState::Unhealthy { .. }
            | LifecycleState::CrashLooped { until: None, .. }
    )
}

impl Inner {
    async fn fetch(self: &Rc<Self>, request: web_sys::Request) -> worker::Result<web_sys::Response> {
        let reply = match answer::command(&request).await? {
            Some(SandboxCommand::Serve) => return self.serve(request).await,
            Some(command) => self.answer(command).await?,
            None => Refusal::NotFound.into(),
        };
        Ok(reply.into_response()?.into())
    }

    /// Does what a command says that has no request to serve.
    async fn answer(self: &Rc<Self>, command: SandboxCommand) -> worker::Result<Reply> {
        Ok(match command {
            // Its stream would be missing.
            SandboxCommand::Serve => Refusal::NotFound.into(),
            SandboxCommand::Status => {
                self.load().await?;
                self.observe().await;
                self.review_spent_limit().await;
                self.status_answer()?.into()
            }
            SandboxCommand::Poll => {
                self.handle_event(LifecycleEvent::Poll).await?;
                // Its row is not what it should be.
                self.registry.forget();
                self.update_registry();
                self.update_usage();
                self.status_answer()?.into()
            }
            SandboxCommand::FreeSlot => {
                self.handle_event(LifecycleEvent::SlotWanted).await?;
                self.status_answer()?.into()
            }
            SandboxCommand::Order(by, order) => {
                let lost = self.would_lose(order).await?;
                self.order(by, order, lost).await?.into()
            }
            SandboxCommand::Force(by, order) => {
                self.load().await?;
                self.order(by, order, None).await?.into()
            }
            SandboxCommand::Bulk(verb, tried_at) => self.bulk(verb, tried_at).await?,
            SandboxCommand::Session(command) => self.session(command).await?.into(),
            SandboxCommand::SecondFactor(command) => self.second_factor(command).await?.into(),
            SandboxCommand::Snapshots(command) => self.snapshots(command).await?,
            SandboxCommand::Channels(command) => self.channels(command).await?.into(),
            SandboxCommand::Config(command) => self.config(command).await?.into(),
            SandboxCommand::Devices(command) => self.devices(command).await?.into(),
            SandboxCommand::Logs(wanted) => self.logs(&wanted).await?,
            SandboxCommand::Processes => self.processes().await?.into(),
            SandboxCommand::RenewToken(run, scope) => {
                self.load().await?;
                self.renew_token(run, scope).await?.into()
            }
            SandboxCommand::MayForget(run, snapshot) => {
                self.load().await?;
                SandboxAnswer::Permission(self.may_forget(run, &snapshot)?).into()
            }
            SandboxCommand::Limit(choice) => {
                self.load().await?;
                self.set_limit(choice).await?;
                SandboxAnswer::Done.into()
            }
        })
    }

    /// Does what somebody ordered, unless the bot would not, or something would be lost by it.
    async fn order(
        self: &Rc<Self>,
        by: Authority,
        order: Order,
        lost: Option<String>,
    ) -> worker::Result<SandboxAnswer> {
        self.review_spent_limit().await;
        if let Some(refusal) = order.refusal(by, &self.life(), clock::now_ms()) {
            let detail = (refusal == Refusal::SpendLimitReached).then(|| self.spent_in_words());
            return Ok(SandboxAnswer::Refused(refusal, detail.flatten()));
        }
        if lost.is_some() {
            return Ok(SandboxAnswer::Refused(Refusal::UnsavedChanges, lost));
        }
        self.handle_event(order.event(by)).await?;
        self.status_answer()
    }

    /// Whose bot this is: the object's own name says it.
    fn user(&self) -> worker::Result<UserId> {
        let name = self.state.id().name().unwrap_or_default();
        UserId::from_sandbox_name(&name)
            .map_err(|error| worker::Error::RustError(format!("this object has no Sandbox's name: {error}")))
    }

    fn subject(&self) -> Option<Subject> {
        let subject = || self.user().ok().map(Subject::user);
        self.subject.get_or_init(subject).clone()
    }

    /// The settings, read once: a deploy that changes them replaces this object. The Worker refused the
    /// request before it came here if they are not in order, but an alarm comes without it.
    fn settings(&self) -> worker::Result<&Settings> {
        if let Some(settings) = self.settings.get() {
            return Ok(settings);
        }
        let settings = configuration::read(&self.env).map_err(|problems| {
            let names: Vec<_> = problems.iter().map(|problem| problem.setting.name).collect();
            worker::Error::RustError(format!("not configured: {}", names.join(", ")))
        })?;
        Ok(self.settings.get_or_init(|| settings))
    }

    fn container(&self) -> worker::Result<worker::Container> {
        let missing =
            || worker::Error::RustError("the Durable Object class has no container in wrangler.toml".into());
        self.state.container().ok_or_else(missing)
    }

    /// The life as it is in memory; a new one before [`Inner::load`].
    fn life(&self) -> Lifecycle {
        self.memory
            .borrow()
            .life
            .clone()
            .unwrap_or_else(|| Lifecycle::new(0))
    }

    /// The state in words.
    fn status(self: &Rc<Self>) -> BotStatus {
        let life = self.life();
        let said = self.said_by(life.run);
        let mut observed = said.map_or(ObservedStatus::NOTHING, |status| ObservedStatus::from(&status));
        if !has_health(&life) {
            observed.health = Health::Unknown;
        }
        // A backup state that cannot be read must not hide the rest from whoever looks for what is wrong.
        let backups = self
            .update_backup_state(|backup_state| {
                // Nothing else is heard of a bot that stays stopped.
                let has_lapsed = backup_state.lapse_choice(clock::now_ms());
                let kinds: Vec<IncidentKind> = backup_state.incidents().open_kinds().collect();
                (has_lapsed, (backup_state.summary(), kinds))
            })
            .map(|(has_lapsed, said)| {
                if has_lapsed {
                    self.update_registry();
                }
                said
            })
            .inspect_err(|error| {
                log::fault(
                    "backup-state-unreadable",
                    &[("run", &life.run), ("reason", error)],
                )
            });
        let (backups, kinds) = backups.ok().unzip();
        let mut status = life.status(observed);
        status.backups = backups;
        status.incidents.extend(kinds.unwrap_or_default());
        self.add_vitals(&mut status, life.is_awake());
        status
    }

    /// Asks this run's supervisor how it is and takes note of it. No answer makes its health unknown, nothing
    /// else.
    async fn observe_supervisor(self: &Rc<Self>, run: Run) -> Option<SupervisorReport> {
        match self.ask_supervisor(run).await {
            Ok(status) => Some(self.note(run, status)),
            Err(error) => {
                log::line("supervisor-unanswered", &[("run", &run), ("reason", &error)]);
                let mut memory = self.memory.borrow_mut();
                memory.observed = None;
                memory.silent = Some(run);
                None
            }
        }
    }

    /// Takes note of what the supervisor of `run` said.
    fn note(self: &Rc<Self>, run: Run, mut status: Status) -> SupervisorReport {
        if let Some(backup) = &mut status.backup {
            backup.bound();
        }
        self.note_vitals(run, &status);
        let recorded = self.record_backup_status(run, &status);
        if let Err(error) = &recorded {
            log::fault("backups-not-recorded", &[("run", &run), ("reason", error)]);
        }
        if let Some(cpu_ms) = status.cpu_ms {
            self.count_cpu(run, cpu_ms);
        }
        let report = SupervisorReport::from(&status);
        let mut memory = self.memory.borrow_mut();
        memory.observed = Some((run, Rc::new(status)));
        memory.silent = None;
        memory.asked_at = clock::now_ms();
        memory.active_at = memory.asked_at.saturating_sub(report.idle_ms);
        memory.recorded = recorded.is_ok();
        report
    }

    /// What the supervisor of `run` last said.
    fn said_by(&self, run: Run) -> Option<Rc<Status>> {
        let observed = self.memory.borrow().observed.clone();
        observed.filter(|(of, _)| *of == run).map(|(_, status)| status)
    }
}
