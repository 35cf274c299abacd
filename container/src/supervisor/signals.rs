//! What PID 1 is told, by signals and on the control port.

use std::io;
use std::time::Duration;

use moltworker_core::backup::job::OrderedJob;
use rustix::process::Signal;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::mpsc;

/// What is asked for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum SupervisorCommand {
    /// Let the gateway finish, within this time if so said, and leave.
    Stop(Option<Duration>),
    /// Let the gateway finish and start it again.
    Restart,
    /// Pass this on to the gateway, as an init does.
    PassOn(Signal),
    /// Some process ended.
    Collect,
    /// Do something with the bot's repository.
    Job(OrderedJob),
}

/// SIGUSR1 is not among them: it makes Node open its debugger to everything on loopback.
const ASKED: [(Signal, SupervisorCommand); 9] = [
    (Signal::CHILD, SupervisorCommand::Collect),
    (Signal::TERM, SupervisorCommand::Stop(None)),
    (Signal::INT, SupervisorCommand::Stop(None)),
    (Signal::HUP, SupervisorCommand::PassOn(Signal::HUP)),
    (Signal::QUIT, SupervisorCommand::PassOn(Signal::QUIT)),
    (Signal::USR2, SupervisorCommand::PassOn(Signal::USR2)),
    (Signal::ALARM, SupervisorCommand::PassOn(Signal::ALARM)),
    (Signal::CONT, SupervisorCommand::PassOn(Signal::CONT)),
    (Signal::WINCH, SupervisorCommand::PassOn(Signal::WINCH)),
];
/// Signals on their way. Those that say the same merge in the kernel anyway.
const QUEUED: usize = 16;

/// Begins to listen. Must happen before the first process is started, or its end could be missed.
///
/// # Errors
/// When a handler cannot be installed.
pub(crate) fn listen() -> io::Result<(mpsc::Sender<SupervisorCommand>, mpsc::Receiver<SupervisorCommand>)> {
    let (queue, asked) = mpsc::channel(QUEUED);
    // Not passed on, but not deadly either.
    let streams: Vec<(Stream, SupervisorCommand)> = ASKED
        .into_iter()
        .map(|(kind, asked)| Ok((signal(SignalKind::from_raw(kind.as_raw()))?, asked)))
        .collect::<io::Result<_>>()?;
    for (mut stream, asked) in streams {
        let queue = queue.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() && queue.send(asked.clone()).await.is_ok() {}
        });
    }
    Ok((queue, asked))
}
