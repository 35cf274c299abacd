//! Carries out what [`GatewayLifecycle`] decides: the loop around the gateway.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use moltworker_core::bot::gateway::{
    Evidence, GatewayEffect, GatewayEvent, GatewayLifecycle, GatewayView, Launch, judge,
};
use moltworker_core::wire::control::{ExitReason, GatewayPhase};
use moltworker_core::wire::job::{BackupJob, OrderedJob};
use rustix::process::Signal;
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::backup::controller::{BackupActivity, BackupController};
use crate::backup::stillness::Stillness;
use crate::output::Logs;
use crate::settings::Settings;
use crate::supervisor::cgroup::Cgroup;
use crate::supervisor::gateway_process::{self, Gateway, Readers, SpawnError};
use crate::supervisor::gateway_rpc::Rpc;
use crate::supervisor::home::Fingerprint;
use crate::supervisor::log_line::log_line;
use crate::supervisor::probe::Latency;
use crate::supervisor::signals::SupervisorCommand;
use crate::supervisor::tenant::{Outlived, Tenant};
use crate::supervisor::{gateway_shutdown, probe, reaper};

/// How long the last words of an ended gateway may take to arrive. They are in the pipe already, unless
/// something out of reach holds its other end.
const LAST_OUTPUT_DEADLINE: Duration = Duration::from_millis(500);
/// So many of the last lines are searched for the reason of an end. A heap that is full is followed by a long
/// native stack.
const MAX_LAST_OUTPUT_LINES: usize = 100;

/// How long the last processes may take to go when the supervisor leaves. What is left then goes with the container.
const LEAVE_DEADLINE: Duration = Duration::from_secs(5);

/// Why a supervisor does not leave well. The Sandbox sees it by the exit code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeftBehind {
    /// A process of the bot is left that a kill does not end.
    #[error("processes of the bot are left that cannot be ended; the container ends with them")]
    Processes,
    /// The last snapshot could not be taken.
    #[error("the last snapshot could not be taken; what it would have had is lost")]
    Changes,
}

/// What the loop works with.
pub(crate) struct Supervision {
    settings: Arc<Settings>,
    /// The way to the gateway, with its password for callers from inside the container.
    rpc: Rpc,
    logs: Arc<Logs>,
    since: Instant,
    life: GatewayLifecycle,
    /// Shows it to the ports.
    view: watch::Sender<GatewayView>,
    version: Arc<OnceLock<String>>,
    /// How long the gateway takes to answer.
    pub(crate) latency: Latency,
    running: Option<Running>,
    tenant: Arc<Tenant>,
    /// Which config the last gateway ended with.
    config: Option<Fingerprint>,
    /// Which config was refused last, where no gateway was started for it.
    refused: Option<Option<Fingerprint>>,
    reports: mpsc::Sender<GatewayEvent>,
    reported: mpsc::Receiver<GatewayEvent>,
    /// Keeps the home, where there is a repository.
    backups: Option<BackupController>,
}

/// The process there is, and what is being asked of it.
struct Running {
    launch: Launch,
    gateway: Gateway,
    readers: Readers,
    /// Lines there were, and kills for want of memory, when it was started.
    first_line: u64,
    oom_kills: u64,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Supervision {
    /// What [`Supervision::run`] works with.
    pub(crate) fn new(
        settings: Arc<Settings>,
        rpc: Rpc,
        logs: Arc<Logs>,
        since: Instant,
        life: GatewayLifecycle,
        view: watch::Sender<GatewayView>,
        version: Arc<OnceLock<String>>,
    ) -> Self {
        let (reports, reported) = mpsc::channel(1);
        Self {
            tenant: Arc::new(Tenant::new(&settings)),
            settings,
            rpc,
            logs,
            since,
            life,
            view,
            version,
            latency: Latency::default(),
            running: None,
            config: None,
            refused: None,
            reports,
            reported,
            backups: None,
        }
    }

    /// Whoever can make all that the bot runs stand still.
    pub(crate) fn stillness(&self) -> Arc<dyn Stillness> {
        Arc::new(Arc::clone(&self.tenant))
    }

    /// With somebody who keeps the home.
    pub(crate) fn with_backups(mut self, backups: Option<BackupController>) -> Self {
        self.backups = backups;
        self
    }

    /// Keeps a gateway running until it is told to stop; returns when nothing is left of it.
    ///
    /// # Errors
    /// When something is left.
    pub(crate) async fn run(
        mut self,
        first: GatewayEffect,
        mut asked: mpsc::Receiver<SupervisorCommand>,
    ) -> Result<(), LeftBehind> {
        let mut due = Some(first);
        loop {
            while let Some(effect) = due.take() {
                if effect == GatewayEffect::Leave {
                    // Our own processes as well.
                    let all_gone = self.tenant.end(BTreeSet::new);
                    let gone = tokio::time::timeout(LEAVE_DEADLINE, all_gone).await;
                    gone.map_err(|_| LeftBehind::Processes)?;
                    let elapsed = self.since.elapsed().as_millis();
                    self.logs
                        .say(&format!("nothing is left ({elapsed} ms after the supervisor)"));
                    let backups = self.backups.as_ref();
                    let unsaved = backups.is_some_and(BackupController::is_left_unsaved);
                    return if unsaved { Err(LeftBehind::Changes) } else { Ok(()) };
                }
                due = self.carry_out(effect).await;
            }
            let deadline = self.life.deadline();
            tokio::select! {
                Some(asked) = asked.recv() => match asked {
                    SupervisorCommand::Collect => self.collect(),
                    SupervisorCommand::Stop(grace) => due = self.on(GatewayEvent::Stop(grace)),
                    SupervisorCommand::Restart => due = self.on(GatewayEvent::Restart),
                    // The gateway is stopped for it, and says when.
                    SupervisorCommand::Job(OrderedJob { job: BackupJob::Restore(point), .. }) => {
                        due = self.on(GatewayEvent::RestoreTo(point));
                    }
                    SupervisorCommand::Job(order) => if let Some(backups) = &mut self.backups {
                        backups.order(order);
                    },
                    SupervisorCommand::PassOn(signal) => if let Some(running) = &self.running {
                        running.gateway.signal(signal);
                    },
                },
                Some(event) = self.reported.recv() => due = self.on(event),
                activity = next_activity(&mut self.backups) => {
                    let event = self.backups.as_mut().and_then(|backups| backups.take(activity, jitter()));
                    due = event.and_then(|event| self.on(event));
                }
                () = at(self.since, deadline), if deadline.is_some() => due = self.on(GatewayEvent::Deadline),
            }
        }
    }

    async fn carry_out(&mut self, effect: GatewayEffect) -> Option<GatewayEffect> {
        match effect {
            GatewayEffect::Spawn(launch) => return self.spawn(launch).await,
            GatewayEffect::Probe(launch) => self.probe(launch),
            GatewayEffect::Terminate(grace) => self.terminate(grace),
            GatewayEffect::Kill => self.kill(),
            GatewayEffect::Clear(launch) => self.clear(launch),
            GatewayEffect::LookAtConfig => {
                if gateway_process::config_fingerprint(&self.settings) != self.config {
                    return self.on(GatewayEvent::ConfigChanged);
                }
            }
            GatewayEffect::Restore => {
                let point = self.life.restore_point().clone();
                return self.with_controller(|backups| backups.restore(&point));
            }
            GatewayEffect::Save(reason) => return self.with_controller(|backups| backups.save(reason)),
            GatewayEffect::BreakOff => return self.with_controller(BackupController::break_off),
            GatewayEffect::Leave => {}
        }
        None
    }

    /// Has something done with the home. The machine wants that only where there is a repository.
    fn with_controller(
        &mut self,
        work: impl FnOnce(&mut BackupController) -> Option<GatewayEvent>,
    ) -> Option<GatewayEffect> {
        let event = self.backups.as_mut().and_then(work);
        event.and_then(|event| self.on(event))
    }

    fn on(&mut self, event: GatewayEvent) -> Option<GatewayEffect> {
        let before = self.life.view().phase;
        let ends = matches!(event, GatewayEvent::Ended(..));
        let said = log_line(&event);
        let effect = self.life.on(self.since.elapsed(), jitter(), event);
        let view = self.life.view();
        // The machine knows better than the process why it ended: it may have been made to.
        let ending = view.endings.back().filter(|_| ends).map(|ending| {
            let message = ending.message.as_deref().unwrap_or_default();
            let code = reaper::exit_code(&ending.exit);
            format!("gateway: ended with {code}: {} {message}", ending.reason.as_str())
        });
        // What happens every few seconds is worth a line only when it changes something.
        let changed = (view.phase != before).then(|| "gateway".to_owned());
        if let Some(said) = ending.or(said).or(changed) {
            let (phase, elapsed) = (view.phase, self.since.elapsed().as_millis());
            self.logs
                .say(&format!("{said} ({phase:?}, {elapsed} ms after the supervisor)"));
        }
        if view.phase != before && view.phase == GatewayPhase::CrashLooped {
            // A gateway writes its config as well: what it was started with says nothing of what it ended with.
            let refused = self.refused.take();
            self.config = refused.unwrap_or_else(|| gateway_process::config_fingerprint(&self.settings));
            self.logs
                .say("gateway: given up until it is asked for or its config changes");
        }
        if let Some(backups) = &mut self.backups {
            backups.look(view);
        }
        self.view.send_replace(view.clone());
        effect
    }

    async fn spawn(&mut self, launch: Launch) -> Option<GatewayEffect> {
        let first_line = self.logs.before_last(0);
        let oom_kills = Cgroup::here().oom_kills();
        // What puts the config in order would stand still with the bot.
        self.tenant.go_on();
        // From before it is read: one that is mended while it is judged is another one.
        let config = gateway_process::config_fingerprint(&self.settings);
        self.refused = None;
        match Gateway::spawn(&self.settings, &self.rpc.password, &self.logs, &self.tenant).await {
            Ok((gateway, readers)) => {
                self.running = Some(Running {
                    launch,
                    gateway,
                    readers,
                    first_line,
                    oom_kills,
                    tasks: vec![self.watch_start(launch)],
                });
                self.on(GatewayEvent::Spawned(launch, reaper::number(gateway.pid)))
            }
            Err(error) => {
                self.refused = matches!(error, SpawnError::Config(_)).then_some(config);
                self.on(GatewayEvent::NotSpawned(
                    launch,
                    error.reason(),
                    error.to_string(),
                ))
            }
        }
    }

    fn watch_start(&self, launch: Launch) -> JoinHandle<()> {
        let (address, reports) = (self.settings.gateway, self.reports.clone());
        let version = Arc::clone(&self.version);
        tokio::spawn(async move {
            probe::listens(address).await;
            // Nobody listens to reports once the supervisor leaves.
            let _ = reports.send(GatewayEvent::Listening(launch)).await;
            if let Some(said) = probe::has_started(address).await {
                // One image has one version: the first word stands.
                let _ = version.set(said);
            }
            let _ = reports.send(GatewayEvent::Started(launch)).await;
        })
    }

    fn probe(&mut self, launch: Launch) {
        let (address, reports, latency) = (self.settings.gateway, self.reports.clone(), self.latency.clone());
        let probe = tokio::spawn(async move {
            let well = probe::lives(address, &latency).await;
            let _ = reports.send(GatewayEvent::Probed(launch, well)).await;
        });
        // The one before is over: answered, or given up by the machine.
        self.only_task(probe);
    }

    /// Asks in the way that has an end, and where that is not understood by a signal. The machine's own
    /// deadline comes after both.
    fn terminate(&mut self, grace: Duration) {
        let Some(running) = &self.running else { return };
        let gateway = running.gateway;
        let pid = reaper::number(gateway.pid);
        let was_ready = self.life.view().ready_since.is_some();
        if !was_ready {
            gateway.signal_group(Signal::TERM);
            return;
        }
        let (settings, rpc, logs) = (
            Arc::clone(&self.settings),
            self.rpc.clone(),
            Arc::clone(&self.logs),
        );
        // Dropped when the process has ended, so that no signal reaches another process of this number.
        let stopping = tokio::spawn(async move {
            if !gateway_shutdown::end_well(&settings, rpc, pid, grace, &logs).await {
                gateway.signal_group(Signal::TERM);
            }
        });
        self.only_task(stopping);
    }

    fn kill(&self) {
        if let Some(running) = &self.running {
            running.gateway.signal_group(Signal::KILL);
            let jobs = self.backups.as_ref().map(BackupController::jobs);
            self.tenant.strike(reaper::number(running.gateway.pid), || {
                jobs.as_ref().map(|jobs| jobs.processes()).unwrap_or_default()
            });
        }
    }

    fn only_task(&mut self, task: JoinHandle<()>) {
        if let Some(running) = &mut self.running {
            for earlier in running.tasks.drain(..) {
                earlier.abort();
            }
            running.tasks.push(task);
        }
    }

    /// Ends what an ended gateway has left: it would write into the home, hold the port and the locks. Goes on beside
    /// everything else until nothing is left; the machine has its own deadline for it.
    fn clear(&self, launch: Launch) {
        let (tenant, logs, reports) = (
            Arc::clone(&self.tenant),
            Arc::clone(&self.logs),
            self.reports.clone(),
        );
        let jobs = self.backups.as_ref().map(BackupController::jobs);
        tokio::spawn(async move {
            let outlived = tenant
                .end(|| jobs.as_ref().map(|jobs| jobs.processes()).unwrap_or_default())
                .await;
            if outlived != Outlived::default() {
                logs.say(&format!(
                    "gateway: it was outlived by {outlived}; they were ended"
                ));
            }
            let _ = reports
                .send(GatewayEvent::Cleared(launch, outlived.count()))
                .await;
        });
    }

    /// Collects what has ended.
    fn collect(&mut self) {
        for (pid, exit) in reaper::ended() {
            let ended = self
                .running
                .take_if(|running| reaper::number(running.gateway.pid) == pid);
            if let Some(ended) = ended {
                ended.gateway.signal_group(Signal::KILL);
                let (logs, reports) = (Arc::clone(&self.logs), self.reports.clone());
                tokio::spawn(async move {
                    let event = exit_event(ended, exit, &logs).await;
                    let _ = reports.send(event).await;
                });
            }
        }
    }
}

/// Waits until everything an ended gateway said has arrived, and finds out why it ended.
async fn exit_event(mut ended: Running, exit: ExitReason, logs: &Logs) -> GatewayEvent {
    let until = Instant::now() + LAST_OUTPUT_DEADLINE;
    for reader in ended.readers.drain(..) {
        // Too late, or broken: what has arrived by then has to do.
        let _ = tokio::time::timeout_at(until, reader).await;
    }
    let first_line = ended.first_line.max(logs.before_last(MAX_LAST_OUTPUT_LINES));
    let (last_output, _) = logs.since(first_line);
    let (reason, message) = judge(Evidence {
        exit: &exit,
        oom_kill: Cgroup::here().oom_kills() > ended.oom_kills,
        last_output: &last_output,
    });
    GatewayEvent::Ended(ended.launch, exit, reason, message)
}

async fn next_activity(backups: &mut Option<BackupController>) -> BackupActivity {
    match backups {
        Some(backups) => backups.next_activity().await,
        None => std::future::pending().await,
    }
}

async fn at(since: Instant, deadline: Option<Duration>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(since + deadline).await,
        None => std::future::pending().await,
    }
}

/// A random number in `0.0..1.0`.
fn jitter() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the pause is only less spread.
    let _ = getrandom(&mut bytes, GetRandomFlags::NONBLOCK);
    f64::from(u32::from_ne_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}
