//! Events become state, state is stored, effects are carried out: the only path by which a bot's life
//! changes.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{self, Either};
use js_sys::Date;
use moltworker_core::backup::state::Ended;
use moltworker_core::bot::history::{Actor, HistoryKind};
use moltworker_core::bot::lifecycle::{
    Lifecycle, LifecycleEffect, LifecycleEvent, LifecycleState, gateway_endings, history_events,
};
use moltworker_core::metrics::bots;
use moltworker_core::metrics::count::Count;
use moltworker_core::wire::run::Run;
use wasm_bindgen::{JsCast, JsValue};
use worker::{Delay, Result};

use super::Inner;
use super::container::NotStarted;
use super::store::Store;
use crate::platform::history::{self, HistoryEntry};
use crate::platform::{clock, log, metrics, tasks};

/// Between two questions whether the gateway is ready. A start takes 15 to 45 s: a quarter of a second more
/// is not felt, and 200 questions on loopback cost the supervisor nothing.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// The signal that asks the supervisor to stop.
const SIGTERM: i32 = 15;

impl Inner {
    /// Loads the life, if this object has just come into memory, and looks whether its container is still
    /// there: what happened while nobody looked is noticed here.
    pub(super) async fn load(self: &Rc<Self>) -> Result<()> {
        if self.memory.borrow().life.is_some() {
            return Ok(());
        }
        let store = Store::open(&self.state)?;
        if store.life()?.is_none() {
            self.recover_holds().await;
            // Somebody else may have loaded it meanwhile.
            if self.memory.borrow().life.is_some() {
                return Ok(());
            }
        }
        let life = store.life()?.unwrap_or_else(|| Lifecycle::new(clock::now_ms()));
        // An unreadable backup state is reported where it is needed.
        let restored_at = store
            .backup_state()
            .ok()
            .and_then(|backup_state| backup_state.ordered_restore_at());
        let container_runs = self
            .state
            .container()
            .is_some_and(|container| container.running());
        let ended = (life.is_awake() && !container_runs).then_some(life.run);
        let how = match life.state {
            LifecycleState::Stopping { .. } => Ended::Unseen {
                stopping_since: life.since,
            },
            _ => Ended::Broken,
        };
        {
            let mut memory = self.memory.borrow_mut();
            memory.life = Some(life);
            memory.restored_at = restored_at;
        }
        if let Some(run) = ended {
            // Nobody watched it. Long before another run answers, with which what this one left unsaved is forgotten.
            let inner = Rc::clone(self);
            log::spawn(async move { inner.reconcile_exit(run, how).await });
        }
        self.take(LifecycleEvent::Loaded { container_runs }).await
    }

    /// Takes note of an event and does what follows from it.
    pub(super) async fn handle_event(self: &Rc<Self>, event: LifecycleEvent) -> Result<()> {
        self.load().await?;
        self.take(event).await
    }

    async fn take(self: &Rc<Self>, event: LifecycleEvent) -> Result<()> {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for effect in self.decide(&event)? {
                events.extend(self.carry_out(effect).await);
            }
        }
        Ok(())
    }

    /// Decides and stores, without an await in between: no other event can slip in.
    fn decide(self: &Rc<Self>, event: &LifecycleEvent) -> Result<Vec<LifecycleEffect>> {
        let before = self.life();
        let mut life = before.clone();
        let (rules, now) = (self.settings()?.rules, clock::now_ms());
        let effects = life.on(&rules, now, js_sys::Math::random(), event.clone());
        if life == before {
            if matches!(event, LifecycleEvent::Poll) {
                // A row that D1 missed would stay wrong: nothing changes in a bot that sleeps.
                self.update_registry();
            }
            return Ok(effects);
        }
        Store::open(&self.state)?.save_lifecycle(&life)?;
        let mut counts = self.memory.borrow_mut().start_watch.step(&before, &life, now);
        counts.extend(
            gateway_endings(&before, event, &life)
                .into_iter()
                .map(bots::of_ending),
        );
        self.count_running(&life);
        for (kind, detail) in history_events(&before, event, &life) {
            self.note_history(kind);
            self.record_counted(kind, life.run, detail, std::mem::take(&mut counts))?;
        }
        if !counts.is_empty() {
            let inner = Rc::clone(self);
            log::spawn(async move { metrics::add(&inner.env, &counts).await });
        }
        if (life.bot_state(), life.pinned) != (before.bot_state(), before.pinned) {
            let (from, to) = (before.bot_state().as_str(), life.bot_state().as_str());
            log::line(
                "bot-state",
                &[
                    ("user", &self.user()?),
                    ("run", &life.run),
                    ("from", &from),
                    ("to", &to),
                ],
            );
        }
        self.update_registry();
        self.update_usage();
        let mut memory = self.memory.borrow_mut();
        memory.life = Some(life);
        for waiting in memory.waiting.drain(..) {
            // Whoever stopped waiting does not want to know.
            let _gone = waiting.send(());
        }
        Ok(effects)
    }

    /// Carries out one effect. One that fails is logged and the others go on: the state's deadline leads
    /// out of whatever its failure leads into.
    pub(super) async fn carry_out(self: &Rc<Self>, effect: LifecycleEffect) -> Option<LifecycleEvent> {
        let outcome = match &effect {
            LifecycleEffect::Start(run) => {
                if let Err(not_started) = self.start_container(*run).await {
                    let reason = not_started.owner_message();
                    let cause = match &not_started {
                        NotStarted::Broken(error) => error.to_string(),
                        NotStarted::SnapshotMissing(_) => reason.clone(),
                    };
                    log::line("start-failed", &[("run", run), ("reason", &cause)]);
                    return Some(LifecycleEvent::StartFailed(*run, reason));
                }
                Ok(())
            }
            LifecycleEffect::Watch(run) => {
                self.watch(*run);
                Ok(())
            }
            LifecycleEffect::Ask(run) => {
                let said = self.observe_supervisor(*run).await;
                return Some(LifecycleEvent::Reported(*run, said));
            }
            LifecycleEffect::OrderBackupJobs(run) => {
                self.order_backup_jobs(*run).await;
                Ok(())
            }
            LifecycleEffect::AskMaySleep(run) => {
                return Some(LifecycleEvent::SleepAnswered(
                    *run,
                    self.ask_may_sleep(*run).await,
                ));
            }
            LifecycleEffect::RestartGateway(run) => self.restart_gateway(*run).await,
            LifecycleEffect::Terminate => self.container().and_then(|container| container.signal(SIGTERM)),
            LifecycleEffect::Kill => self.kill_container().await,
            LifecycleEffect::SetAlarm(at) => self.set_alarm(Some(*at)).await,
            LifecycleEffect::ClearAlarm => self.set_alarm(None).await,
        };
        if let Err(error) = outcome {
            log::fault(
                "effect-failed",
                &[("effect", &format!("{effect:?}")), ("reason", &error)],
            );
        }
        None
    }

    /// Has the alarm ring at this moment, in milliseconds since 1970; or not at all. In the runtime's own words, because
    /// `worker` takes a serializer for the options nobody gives.
    async fn set_alarm(&self, at: Option<u64>) -> Result<()> {
        let (storage, options) = (
            self.state.as_raw().storage()?,
            JsValue::UNDEFINED.unchecked_into(),
        );
        let done = match at {
            Some(at) => storage.set_alarm(Date::new(&clock::to_js(at).into()), options)?,
            None => storage.delete_alarm(options)?,
        };
        Ok(tasks::settled(&done).await.map(drop)?)
    }

    /// Waits for this run's end, and until it is ready asks for that. One watch per run: the runtime aborts
    /// an object whose container ends abnormally with nobody waiting, and two would report one end twice.
    fn watch(self: &Rc<Self>, run: Run) {
        let watched = self.memory.borrow_mut().watched.replace(run);
        if watched == Some(run) || !self.life().is_of(run) {
            return;
        }
        let inner = Rc::clone(self);
        log::spawn(async move {
            let ended = inner.until_exit(run).await;
            let was_killed = inner.memory.borrow().killed == Some(run);
            let (how, event) = match ended {
                Ok(()) if !was_killed => (Ended::Saved, LifecycleEvent::ShutDown(run)),
                Ok(()) => (Ended::Broken, LifecycleEvent::Exited(run, "it was killed".into())),
                Err(reason) => (Ended::Broken, LifecycleEvent::Exited(run, reason)),
            };
            if let Err(error) = inner.handle_event(event).await {
                log::fault("exit-not-recorded", &[("run", &run), ("reason", &error)]);
            }
            inner.reconcile_exit(run, how).await;
        });
    }

    async fn until_exit(self: &Rc<Self>, run: Run) -> std::result::Result<(), String> {
        let mut exit = std::pin::pin!(self.exit());
        let up = std::pin::pin!(self.until_up(run));
        match future::select(exit.as_mut(), up).await {
            Either::Left((ended, _)) => ended,
            Either::Right(((), _)) => exit.await,
        }
    }

    /// Reports what this run's supervisor says until the run is no longer on its way up. The deadline of a
    /// start is the alarm's, which outlives this object's memory.
    async fn until_up(self: &Rc<Self>, run: Run) {
        let mut last = None;
        while self.life().is_starting(run) {
            // Nothing listens before the container is up; that is not worth a line in the log.
            if let Ok(status) = self.ask_supervisor(run).await {
                let report = self.note(run, status);
                // With every look, as the alarm does it. Not by way of an event: most looks find nothing new, and each event
                // would set the alarm again, which is a write.
                self.order_backup_jobs(run).await;
                if last.as_ref() != Some(&report.gateway) {
                    last = Some(report.gateway.clone());
                    if let Err(error) = self
                        .handle_event(LifecycleEvent::Reported(run, Some(report)))
                        .await
                    {
                        log::fault("report-not-recorded", &[("run", &run), ("reason", &error)]);
                    }
                    continue;
                }
            }
            Delay::from(ASK_AGAIN).await;
        }
    }

    /// Resolves at the next change of state.
    pub(super) fn next_change(&self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.memory.borrow_mut().waiting.push(sender);
        receiver
    }

    /// Adds an entry to the history, without waiting for it.
    pub(super) fn record_history_event(
        self: &Rc<Self>,
        kind: HistoryKind,
        run: Run,
        detail: Option<String>,
    ) -> Result<()> {
        self.record_counted(kind, run, detail, Vec::new())
    }

    /// The same, with what is counted beside the event itself.
    fn record_counted(
        self: &Rc<Self>,
        kind: HistoryKind,
        run: Run,
        detail: Option<String>,
        mut counts: Vec<Count>,
    ) -> Result<()> {
        let (user, inner) = (self.user()?, Rc::clone(self));
        counts.push(bots::of_event(kind));
        log::spawn(async move {
            let entry = HistoryEntry {
                user: Some(user),
                run: Some(run),
                kind,
                actor: Actor::Platform,
                detail: detail.as_deref(),
                call: None,
                outcome: None,
            };
            history::record_counted(&inner.env, &entry, &counts).await;
        });
        Ok(())
    }
}
