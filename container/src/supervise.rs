//! Carries out what [`Life`] decides: the loop around the gateway.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::gateway::Gateway;
use crate::life::{Effect, Event, Life, View};
use crate::logs::Logs;
use crate::settings::Settings;
use crate::signals::Asked;
use crate::{probe, reap};

/// What the loop works with.
pub(crate) struct Supervision {
    /// What the supervisor was told.
    pub(crate) settings: Arc<Settings>,
    /// The gateway's password for callers from inside the container.
    pub(crate) password: String,
    /// Where everything that is said goes.
    pub(crate) logs: Arc<Logs>,
    /// When the supervisor started.
    pub(crate) since: Instant,
    /// The gateway's life.
    pub(crate) life: Life,
    /// Shows it to the ports.
    pub(crate) view: watch::Sender<View>,
}

/// The process there is, and the probe that watches it start.
struct Running {
    gateway: Gateway,
    probe: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.probe.abort();
    }
}

impl Supervision {
    /// Keeps a gateway running until a signal says stop; returns when nothing is left of it.
    pub(crate) async fn run(mut self, first: Effect, mut asked: mpsc::Receiver<Asked>) {
        let (reports, mut reported) = mpsc::channel(1);
        let mut running = None;
        let mut due = Some(first);
        loop {
            while let Some(effect) = due.take() {
                due = match effect {
                    Effect::Spawn => self.spawn(&mut running, &reports),
                    Effect::Terminate => signal_group(running.as_ref(), Signal::TERM),
                    Effect::Kill => signal_group(running.as_ref(), Signal::KILL),
                    Effect::Leave => {
                        reap::end_the_rest().await;
                        let elapsed = self.since.elapsed().as_millis();
                        self.logs
                            .say(&format!("nothing is left ({elapsed} ms after the supervisor)"));
                        return;
                    }
                };
            }
            let deadline = self.life.deadline();
            tokio::select! {
                Some(asked) = asked.recv() => match asked {
                    Asked::Collect => due = self.collect(&mut running),
                    Asked::Stop => due = self.on(Event::Stop),
                    Asked::PassOn(signal) => if let Some(running) = &running {
                        running.gateway.signal(signal);
                    },
                },
                Some((gateway, event)) = reported.recv() => {
                    // A report of a process that has ended meanwhile says nothing about the next one.
                    if running.as_ref().is_some_and(|running| running.gateway == gateway) {
                        due = self.on(event);
                    }
                }
                () = at(self.since, deadline), if deadline.is_some() => due = self.on(Event::Deadline),
            }
        }
    }

    fn on(&mut self, event: Event) -> Option<Effect> {
        let said = match &event {
            Event::Spawned(pid) => format!("gateway: process {pid} started"),
            Event::NotSpawned(reason) => format!("gateway: not started: {reason}"),
            Event::Listening => "gateway: its port is open".to_owned(),
            Event::Started => "gateway: ready".to_owned(),
            Event::Exited(reason) => format!("gateway: ended with {}", reap::exit_code(reason)),
            Event::Stop => "told to stop".to_owned(),
            Event::Deadline => "time is up".to_owned(),
        };
        let effect = self.life.on(self.since.elapsed(), chance(), event);
        let view = self.life.view();
        let (phase, elapsed) = (view.phase, self.since.elapsed().as_millis());
        self.logs
            .say(&format!("{said} ({phase:?}, {elapsed} ms after the supervisor)"));
        self.view.send_replace(view);
        effect
    }

    fn spawn(
        &mut self,
        running: &mut Option<Running>,
        reports: &mpsc::Sender<(Gateway, Event)>,
    ) -> Option<Effect> {
        match Gateway::spawn(&self.settings, &self.password, &self.logs) {
            Ok(gateway) => {
                let reports = reports.clone();
                let probe = tokio::spawn(probe::watch(self.settings.gateway, move |event| {
                    let reports = reports.clone();
                    async move {
                        // Nobody listens once the supervisor leaves.
                        let _ = reports.send((gateway, event)).await;
                    }
                }));
                *running = Some(Running { gateway, probe });
                self.on(Event::Spawned(reap::number(gateway.pid)))
            }
            Err(error) => self.on(Event::NotSpawned(error.to_string())),
        }
    }

    /// Collects what has ended. The end of the gateway ends its group: what is left of it would hold the
    /// port and the locks against the next one.
    fn collect(&mut self, running: &mut Option<Running>) -> Option<Effect> {
        let mut due = None;
        for (pid, reason) in reap::ended() {
            let is_gateway = |running: &mut Running| reap::number(running.gateway.pid) == pid;
            if let Some(ended) = running.take_if(is_gateway) {
                ended.gateway.signal_group(Signal::KILL);
                due = self.on(Event::Exited(reason));
            }
        }
        due
    }
}

fn signal_group(running: Option<&Running>, signal: Signal) -> Option<Effect> {
    if let Some(running) = running {
        running.gateway.signal_group(signal);
    }
    None
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
