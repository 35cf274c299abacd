//! Carries out what [`Life`] decides: the loop around the gateway.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use moltworker_core::bot::gateway::{Effect, Event, Evidence, Launch, Life, View, judge};
use moltworker_core::wire::control::{ExitReason, GatewayPhase};
use rustix::process::Signal;
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::backup::controller::{Keep, Stirred};
use crate::settings::Settings;
use crate::supervisor::cgroup::Cgroup;
use crate::supervisor::gateway_process::{self, Gateway, Readers};
use crate::supervisor::gateway_rpc::Rpc;
use crate::supervisor::gateway_shutdown::Farewell;
use crate::supervisor::home::Fingerprint;
use crate::supervisor::output::Logs;
use crate::supervisor::signals::Asked;
use crate::supervisor::{probe, reaper};

/// How long the last words of an ended gateway may take to arrive. They are in the pipe already, unless
/// something out of reach holds its other end.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// So many of the last lines are searched for the reason of an end. A heap that is full is followed by a long
/// native stack.
const LINES_OF_LAST_WORDS: usize = 100;

/// What the loop works with.
pub(crate) struct Supervision {
    settings: Arc<Settings>,
    /// The way to the gateway, with its password for callers from inside the container.
    rpc: Rpc,
    logs: Arc<Logs>,
    since: Instant,
    life: Life,
    /// Shows it to the ports.
    view: watch::Sender<View>,
    version: Arc<OnceLock<String>>,
    running: Option<Running>,
    /// Which config the last gateway ended with.
    config: Option<Fingerprint>,
    reports: mpsc::Sender<Event>,
    reported: mpsc::Receiver<Event>,
    /// Keeps the home, where there is a repository.
    keep: Option<Keep>,
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
        life: Life,
        view: watch::Sender<View>,
        version: Arc<OnceLock<String>>,
    ) -> Self {
        let (reports, reported) = mpsc::channel(1);
        Self {
            settings,
            rpc,
            logs,
            since,
            life,
            view,
            version,
            running: None,
            config: None,
            reports,
            reported,
            keep: None,
        }
    }

    /// With somebody who keeps the home.
    pub(crate) fn keeping(mut self, keep: Option<Keep>) -> Self {
        self.keep = keep;
        self
    }

    /// Keeps a gateway running until it is told to stop; returns when nothing is left of it.
    pub(crate) async fn run(mut self, first: Effect, mut asked: mpsc::Receiver<Asked>) {
        let mut due = Some(first);
        loop {
            while let Some(effect) = due.take() {
                if effect == Effect::Leave {
                    reaper::end_the_rest(&BTreeSet::new()).await;
                    let elapsed = self.since.elapsed().as_millis();
                    self.logs
                        .say(&format!("nothing is left ({elapsed} ms after the supervisor)"));
                    return;
                }
                due = self.carry_out(effect);
            }
            let deadline = self.life.deadline();
            tokio::select! {
                Some(asked) = asked.recv() => match asked {
                    Asked::Collect => self.collect(),
                    Asked::Stop(grace) => due = self.on(Event::Stop(grace)),
                    Asked::Restart => due = self.on(Event::Restart),
                    Asked::RestoreTo(point) => due = self.on(Event::RestoreTo(point)),
                    Asked::Snapshot(order) => if let Some(keep) = &mut self.keep {
                        keep.order(order);
                    },
                    Asked::Maintain(maintenance, token) => if let Some(keep) = &mut self.keep {
                        keep.maintain(maintenance, token.reveal().to_owned());
                    },
                    Asked::PassOn(signal) => if let Some(running) = &self.running {
                        running.gateway.signal(signal);
                    },
                },
                Some(event) = self.reported.recv() => due = self.on(event),
                stirred = stirred(&mut self.keep) => {
                    let event = self.keep.as_mut().and_then(|keep| keep.take(stirred, chance()));
                    due = event.and_then(|event| self.on(event));
                }
                () = at(self.since, deadline), if deadline.is_some() => due = self.on(Event::Deadline),
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Effect> {
        match effect {
            Effect::Spawn(launch) => return self.spawn(launch),
            Effect::Probe(launch) => self.probe(launch),
            Effect::Terminate(grace) => self.terminate(grace),
            Effect::Kill => {
                if let Some(running) = &self.running {
                    running.gateway.signal_group(Signal::KILL);
                }
            }
            Effect::LookAtConfig => {
                if gateway_process::config_fingerprint(&self.settings) != self.config {
                    return self.on(Event::ConfigChanged);
                }
            }
            Effect::Restore => {
                let point = self.life.restore_point().clone();
                return self.kept(|keep| keep.restore(&point));
            }
            Effect::Save(reason) => return self.kept(|keep| keep.save(reason)),
            Effect::BreakOff => return self.kept(Keep::break_off),
            Effect::Leave => {}
        }
        None
    }

    /// Has something done with the home. The machine wants that only where there is a repository.
    fn kept(&mut self, work: impl FnOnce(&mut Keep) -> Option<Event>) -> Option<Effect> {
        let event = self.keep.as_mut().and_then(work);
        event.and_then(|event| self.on(event))
    }

    fn on(&mut self, event: Event) -> Option<Effect> {
        let before = self.life.view().phase;
        let ends = matches!(event, Event::Ended(..));
        let said = words(&event);
        let effect = self.life.on(self.since.elapsed(), chance(), event);
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
            self.config = gateway_process::config_fingerprint(&self.settings);
            self.logs
                .say("gateway: given up until it is asked for or its config changes");
        }
        if let Some(keep) = &mut self.keep {
            keep.look(view);
        }
        self.view.send_replace(view.clone());
        effect
    }

    fn spawn(&mut self, launch: Launch) -> Option<Effect> {
        let first_line = self.logs.before_last(0);
        let oom_kills = Cgroup::here().oom_kills();
        match Gateway::spawn(&self.settings, &self.rpc.password, &self.logs) {
            Ok((gateway, readers)) => {
                self.running = Some(Running {
                    launch,
                    gateway,
                    readers,
                    first_line,
                    oom_kills,
                    tasks: vec![self.watch_start(launch)],
                });
                self.on(Event::Spawned(launch, reaper::number(gateway.pid)))
            }
            Err(error) => self.on(Event::NotSpawned(launch, error.reason(), error.to_string())),
        }
    }

    fn watch_start(&self, launch: Launch) -> JoinHandle<()> {
        let (address, reports) = (self.settings.gateway, self.reports.clone());
        let version = Arc::clone(&self.version);
        tokio::spawn(async move {
            probe::listens(address).await;
            // Nobody listens to reports once the supervisor leaves.
            let _ = reports.send(Event::Listening(launch)).await;
            if let Some(said) = probe::has_started(address).await {
                // One image has one version: the first word stands.
                let _ = version.set(said);
            }
            let _ = reports.send(Event::Started(launch)).await;
        })
    }

    fn probe(&mut self, launch: Launch) {
        let (address, reports) = (self.settings.gateway, self.reports.clone());
        let probe = tokio::spawn(async move {
            let well = probe::lives(address).await;
            let _ = reports.send(Event::Probed(launch, well)).await;
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
        let owner = gateway_process::owner(&self.settings, pid).filter(|_| was_ready);
        let Some(owner) = owner else {
            gateway.signal_group(Signal::TERM);
            return;
        };
        let farewell = Farewell {
            rpc: self.rpc.clone(),
            pid,
            owner,
        };
        let logs = Arc::clone(&self.logs);
        // Dropped when the process has ended, so that no signal reaches another process of this number.
        let bidding = tokio::spawn(async move {
            if !farewell.bid(grace).await {
                logs.say("gateway: did not understand that it is to end; it gets a signal");
                gateway.signal_group(Signal::TERM);
            }
        });
        self.only_task(bidding);
    }

    fn only_task(&mut self, task: JoinHandle<()>) {
        if let Some(running) = &mut self.running {
            for earlier in running.tasks.drain(..) {
                earlier.abort();
            }
            running.tasks.push(task);
        }
    }

    /// Collects what has ended. The end of the gateway ends everything it started: what is left of it would
    /// hold the port and the locks against the next one.
    fn collect(&mut self) {
        for (pid, exit) in reaper::ended() {
            let ended = self
                .running
                .take_if(|running| reaper::number(running.gateway.pid) == pid);
            if let Some(ended) = ended {
                ended.gateway.signal_group(Signal::KILL);
                let (logs, reports) = (Arc::clone(&self.logs), self.reports.clone());
                let spared = self.keep.as_ref().map(Keep::processes).unwrap_or_default();
                tokio::spawn(async move {
                    let event = obituary(ended, exit, &logs, &spared).await;
                    let _ = reports.send(event).await;
                });
            }
        }
    }
}

/// Waits until nothing is left of a gateway and everything it said has arrived, and finds out why it ended.
async fn obituary(mut ended: Running, exit: ExitReason, logs: &Logs, spared: &BTreeSet<u32>) -> Event {
    reaper::end_the_rest(spared).await;
    let until = Instant::now() + LAST_WORDS;
    for reader in ended.readers.drain(..) {
        // Too late, or broken: what has arrived by then has to do.
        let _ = tokio::time::timeout_at(until, reader).await;
    }
    let first_line = ended.first_line.max(logs.before_last(LINES_OF_LAST_WORDS));
    let (last_words, _) = logs.since(first_line);
    let (reason, message) = judge(Evidence {
        exit: &exit,
        oom_kill: Cgroup::here().oom_kills() > ended.oom_kills,
        last_words: &last_words,
    });
    Event::Ended(ended.launch, exit, reason, message)
}

/// What is worth a line in the log.
fn words(event: &Event) -> Option<String> {
    Some(match event {
        Event::Spawned(_, pid) => format!("gateway: process {pid} started"),
        Event::NotSpawned(_, _, reason) => format!("gateway: not started: {reason}"),
        Event::Listening(_) => "gateway: its port is open".to_owned(),
        Event::Started(_) => "gateway: ready".to_owned(),
        Event::Stop(_) => "told to stop".to_owned(),
        Event::Restart => "told to restart the gateway".to_owned(),
        Event::ConfigChanged => "gateway: its config has changed".to_owned(),
        Event::Restored => "the home is confirmed".to_owned(),
        Event::NotRestored { .. } => "the home is not restored".to_owned(),
        Event::Saved(well) => format!("the last snapshot was {}taken", if *well { "" } else { "not " }),
        Event::RestoreTo(point) => format!("told to restore {point}"),
        Event::Ended(..) | Event::Probed(..) | Event::Deadline => return None,
    })
}

async fn stirred(keep: &mut Option<Keep>) -> Stirred {
    match keep {
        Some(keep) => keep.stirred().await,
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
fn chance() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the pause is only less spread.
    let _ = getrandom(&mut bytes, GetRandomFlags::NONBLOCK);
    f64::from(u32::from_ne_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}
