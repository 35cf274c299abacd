//! What the machine is told, what it says, and what others may know of it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::wire::control::{
    CrashLoop, EndReason, Ending, ExitReason, GatewayPhase, SnapshotReason, StartTimes,
};
use crate::wire::run::RestorePoint;

/// The number of a process, growing by one for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Launch(pub u32);

/// Something that happened to the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayEvent {
    /// The process was started and has this id.
    Spawned(Launch, u32),
    /// The process could not be started.
    NotSpawned(Launch, EndReason, String),
    /// Its port accepted a connection.
    Listening(Launch),
    /// Its start-up probe said "started".
    Started(Launch),
    /// It answered a probe, well or not.
    Probed(Launch, bool),
    /// It ended.
    Ended(Launch, ExitReason, EndReason, Option<String>),
    /// Nothing that this one started is left; so many processes had to be ended for that.
    Cleared(Launch, u32),
    /// The container is to stop; with less time for the gateway than the rules have, if so said.
    Stop(Option<Duration>),
    /// Somebody wants another gateway.
    Restart,
    /// The home was made from a snapshot and compared with it, or there was nothing to restore.
    Restored,
    /// That failed. The home is as it was before, if so said; otherwise nobody knows.
    NotRestored {
        /// Whether the home is as it was.
        intact: bool,
    },
    /// The last snapshot before a stop or a restore was taken, or could not be.
    Saved(bool),
    /// Somebody wants the home as it was in this snapshot.
    RestoreTo(RestorePoint),
    /// The config is another one than when the last gateway ended.
    ConfigChanged,
    /// The time [`GatewayLifecycle::deadline`](super::GatewayLifecycle::deadline) named has come.
    Deadline,
}

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatewayEffect {
    /// Start a process.
    Spawn(Launch),
    /// Ask the process whether it lives.
    Probe(Launch),
    /// Ask the process to end within this time.
    Terminate(Duration),
    /// End it.
    Kill,
    /// End every process of the bot: the gateway has ended, and what it started must not outlive it.
    Clear(Launch),
    /// Make the home from [`GatewayLifecycle::restore_point`](super::GatewayLifecycle::restore_point).
    Restore,
    /// Take a snapshot, for this reason, before what comes next.
    Save(SnapshotReason),
    /// End the restore or the snapshot that is under way.
    BreakOff,
    /// Look whether the config has changed.
    LookAtConfig,
    /// There is no gateway any more and none is to come: leave.
    Leave,
}

/// What others may know about the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayView {
    /// Where it is in its life.
    pub phase: GatewayPhase,
    /// The process there is or was last.
    pub launch: Launch,
    /// Its id, while there is one.
    pub pid: Option<u32>,
    /// How long its start took.
    pub start: StartTimes,
    /// Since when it is ready.
    pub ready_since: Option<Duration>,
    /// How often it was started again.
    pub restarts: u32,
    /// How it ended, the last times.
    pub endings: VecDeque<Ending>,
    /// Why it is not started again.
    pub crash_loop: Option<CrashLoop>,
    /// Processes of the bot that outlived their gateway and were ended, in this run.
    pub outlived: u32,
    /// Whether the home is what its repository says it should be: only then may a snapshot be taken.
    pub home: HomeState,
    /// Events that meant nothing where they came.
    pub ignored: u64,
}

/// What is known of the bot's home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HomeState {
    /// There is no repository: it is what it is.
    Unkept,
    /// It is not, or not yet, what the repository says.
    Unconfirmed,
    /// It was restored in this run, or there was nothing to restore.
    Confirmed,
}
