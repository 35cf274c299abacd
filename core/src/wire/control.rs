//! What the supervisor says on its control port: the wire between a container and its Sandbox.

use serde::{Deserialize, Serialize};

use crate::user_id::UserId;
use crate::wire::run::{RepositoryToken, Run};

mod backup;
mod bounds;
mod lacks;
mod tagged;

pub use backup::{
    Amount, BackupError, BackupStatus, DRILL_FAILED, EntryKind, HeldUp, Lost, MAINTAIN_PATH, MAX_IDS,
    MaintenanceReport, Progress, RESTORE_PATH, RestoreReport, SNAPSHOT_PATH, SNAPSHOTS_PATH, Snapshot,
    SnapshotEntry, SnapshotReason,
};
pub use bounds::lines;
pub use lacks::{LeftOut, LeftOutPlace, Named};

/// `GET`: a [`Status`] as JSON.
pub const STATUS_PATH: &str = "/v1/status";
/// `GET`: the last lines of the gateway's output as text; `?lines=N` bounds them, `?contains=` takes those alone that have this
/// text in them, percent-encoded and in whatever case, `?follow=1` goes on with what comes,
/// and `&admin=1` with it takes one of the places that admins have for themselves.
pub const LOGS_PATH: &str = "/v1/logs";
/// `GET`: the largest processes in the container, as a list of [`Process`].
pub const PROCESSES_PATH: &str = "/v1/processes";
/// `POST`: end the gateway well and start it again; forgets earlier failures, so it also leads out of a crash
/// loop. Answers 202 with the [`Status`] from before.
pub const RESTART_PATH: &str = "/v1/restart";
/// `POST`: what SIGTERM does: let the gateway finish, end it, leave. `?grace_ms=N` gives it less time than the
/// supervisor would. Answers 202 with the [`Status`] from before.
pub const DRAIN_PATH: &str = "/v1/drain";
/// `POST`: may this bot be put to sleep? Answers a [`Quiesce`] within ten seconds. A bot that is ready takes no
/// new work from then on, so the container is to be stopped at once; if it is not, the owner's next request, or
/// two minutes, undo it.
pub const QUIESCE_PATH: &str = "/v1/quiesce";
/// `GET`: the numbers of a [`Status`] as Prometheus text.
pub const METRICS_PATH: &str = "/metrics";
/// Bytes of a [`Status`], a [`Quiesce`] or a refusal that the Sandbox reads. With all that a supervisor keeps, a status has
/// 30 KB; one that has ten times as much is no supervisor's.
pub const MAX_ANSWER_BYTES: usize = 300 * 1024;
/// Bytes of a list of [`Snapshot`]s that the Sandbox reads: 10,000 of them, at some 400 bytes each.
pub const MAX_SNAPSHOTS_BYTES: usize = 4 * 1024 * 1024;
/// Lines of output [`LOGS_PATH`] answers with when the caller does not say.
pub const DEFAULT_LOG_LINES: usize = 200;

/// Where a bot's gateway is in its life, as its supervisor sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GatewayPhase {
    /// The bot's home is being made from a snapshot; no gateway is started before that is confirmed.
    Restoring,
    /// The process runs and does not answer its start-up probe yet.
    Starting,
    /// The start-up probe answered: requests are served.
    Ready,
    /// It was ready, requests still go to it, but its last probe failed: neither well nor dead.
    Suspect,
    /// The process ended, or is being ended; the next one starts after a pause.
    Restarting,
    /// It failed too often, or nothing but a change can help: none is started until somebody asks for it or
    /// its config changes.
    CrashLooped,
    /// The supervisor was told to stop and lets the gateway finish.
    Draining,
    /// A phase of a newer supervisor.
    #[serde(other)]
    Unknown,
}

/// How long each part of a gateway's start took, in milliseconds since its process was spawned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StartTimes {
    /// Until the gateway's port accepted a connection.
    pub tcp_ms: Option<u64>,
    /// Until the start-up probe said "started".
    pub ready_ms: Option<u64>,
}

/// How a gateway process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "kebab-case",
    tag = "kind",
    content = "value",
    try_from = "tagged::ExitRecord"
)]
pub enum ExitReason {
    /// It returned this exit code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// It could not be spawned at all; the text says why.
    NotSpawned(String),
}

/// Why a gateway process ended, or was not there to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// By itself and well: so it asks to be started again.
    CleanExit,
    /// Somebody asked the supervisor for it.
    RestartAsked,
    /// The container is to stop.
    Stopped,
    /// By itself and not well.
    Crash,
    /// The kernel killed it for want of memory.
    OutOfMemory,
    /// Its JavaScript heap was full.
    HeapExhausted,
    /// Somebody else held its port.
    PortTaken,
    /// It refused its config, or its config could not be prepared.
    ConfigRejected,
    /// It found its state in the hands of another process.
    StateLocked,
    /// There never was a process.
    NotSpawned,
    /// It did not answer its probes; the supervisor killed it.
    ProbeTimeout,
    /// It did not become ready in time; the supervisor killed it.
    StartTimeout,
    /// A reason of a newer supervisor.
    #[serde(other)]
    Unknown,
}

impl EndReason {
    /// Every reason this version knows.
    pub const ALL: [Self; 12] = [
        Self::CleanExit,
        Self::RestartAsked,
        Self::Stopped,
        Self::Crash,
        Self::OutOfMemory,
        Self::HeapExhausted,
        Self::PortTaken,
        Self::ConfigRejected,
        Self::StateLocked,
        Self::NotSpawned,
        Self::ProbeTimeout,
        Self::StartTimeout,
    ];

    /// Whether a gateway ended because it had no more memory, its own or the machine's.
    pub fn is_for_want_of_memory(self) -> bool {
        matches!(self, Self::OutOfMemory | Self::HeapExhausted)
    }

    /// Its text in JSON, in metrics and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CleanExit => "clean-exit",
            Self::RestartAsked => "restart-asked",
            Self::Stopped => "stopped",
            Self::Crash => "crash",
            Self::OutOfMemory => "out-of-memory",
            Self::HeapExhausted => "heap-exhausted",
            Self::PortTaken => "port-taken",
            Self::ConfigRejected => "config-rejected",
            Self::StateLocked => "state-locked",
            Self::NotSpawned => "not-spawned",
            Self::ProbeTimeout => "probe-timeout",
            Self::StartTimeout => "start-timeout",
            Self::Unknown => "unknown",
        }
    }
}

/// One end of a gateway process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Milliseconds since the supervisor started.
    pub at_ms: u64,
    /// What ended it, as far as the exit and the last lines tell.
    pub reason: EndReason,
    /// How the operating system saw it.
    pub exit: ExitReason,
    /// The gateway's or the supervisor's own words, in short and without secrets.
    #[serde(default)]
    pub message: Option<String>,
}

/// Why no further gateway is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrashLoop {
    /// Milliseconds since the supervisor started at which it gave up.
    pub since_ms: u64,
    /// Failures that led to it.
    pub failures: u32,
    /// Why the last one failed.
    pub reason: EndReason,
    /// The words that go with it, fit for the bot's owner.
    #[serde(default)]
    pub message: Option<String>,
}

/// The body of a question to [`QUIESCE_PATH`]; it may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuiesceRequest {
    /// A fresh token for the rest of the run: the one the run has may have expired while it could not be renewed, and the
    /// last snapshot is taken when nobody can be asked any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<RepositoryToken>,
}

/// The answer to [`QUIESCE_PATH`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer", try_from = "tagged::QuiesceRecord")]
pub enum Quiesce {
    /// Nothing runs, and the gateway takes no new work.
    Ready,
    /// Something would be broken off or missed.
    #[serde(rename_all = "snake_case")]
    Busy {
        /// What, in a few words each, fit for logs and for the owner.
        blockers: Vec<String>,
        /// When to ask again, in milliseconds.
        retry_after_ms: u64,
    },
    /// This gateway cannot be asked, now or later: its owner's config leaves the call out.
    Unsupported,
    /// No gateway runs, and none is on its way.
    NoGateway,
    /// Something in the home is known not to be saved now: the last attempt failed, or one is under way. Whether
    /// anything runs was not asked.
    Unsaved,
    /// An answer of a newer supervisor.
    Unknown,
}

/// What the owner's traffic has open right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OpenTraffic {
    /// Requests without their whole answer yet, streams of events among them.
    pub requests: u32,
    /// Connections that left HTTP: WebSockets.
    pub upgrades: u32,
}

/// The container's memory in bytes, by its cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// In use, the file cache included.
    pub current: u64,
    /// The most there ever was in this run, where the kernel tells.
    pub peak: Option<u64>,
    /// What there may be; `None` when nothing limits it.
    pub limit: Option<u64>,
    /// Processes the kernel has killed for want of memory.
    pub oom_kills: u64,
}

/// The disk that the bot's home lies on, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Disk {
    /// In use, whatever it is used for.
    pub used: u64,
    /// What there is of it.
    pub size: u64,
}

/// The processes in the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProcessCount {
    /// All of them, the supervisor included.
    pub all: u32,
    /// Those that have ended and wait for their parent to notice.
    pub zombies: u32,
}

/// One process. Its arguments are not told: they may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// What the kernel calls it, up to 15 characters.
    pub name: String,
    /// `R`, `S`, `D`, `Z`, `T`: as in `ps`.
    pub state: char,
    /// User id.
    pub user: u32,
    /// Resident memory in bytes.
    pub resident: u64,
    /// Processor time it has used, in milliseconds.
    pub cpu_ms: u64,
}

/// The answer to [`STATUS_PATH`]. Fields that were added later have defaults: a peer of an older version still
/// is understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Whose bot this container runs.
    pub user: UserId,
    /// Which life of the container answers; the Sandbox drops an answer of another run.
    pub run: Run,
    /// Version of the supervisor.
    pub supervisor_version: String,
    /// Milliseconds since the supervisor started.
    pub uptime_ms: u64,
    /// Where the gateway is in its life.
    pub phase: GatewayPhase,
    /// Process id of the gateway, while there is one.
    pub gateway_pid: Option<u32>,
    /// How long the current (or last) gateway process took to start.
    pub start: StartTimes,
    /// How many times the gateway was started again in this run.
    pub restarts: u32,
    /// Why the last gateway process ended, if one did.
    pub last_exit: Option<ExitReason>,
    /// Version of the gateway, once one was ready.
    #[serde(default)]
    pub gateway_version: Option<String>,
    /// Milliseconds for which the gateway has been ready.
    #[serde(default)]
    pub ready_for_ms: Option<u64>,
    /// The last ends of gateway processes, oldest first.
    #[serde(default)]
    pub endings: Vec<Ending>,
    /// While crash-looped: why.
    #[serde(default)]
    pub crash_loop: Option<CrashLoop>,
    /// Processes of the bot that outlived their gateway and were ended, in this run. Older supervisors do not say.
    #[serde(default)]
    pub outlived: Option<u32>,
    /// Milliseconds since the owner's traffic last did something: a request that began or ended, a frame that
    /// is no ping or pong. Health checks do not count.
    #[serde(default)]
    pub idle_ms: u64,
    /// What the owner's traffic has open.
    #[serde(default)]
    pub open: OpenTraffic,
    /// Memory of the container, where its cgroup can be read.
    #[serde(default)]
    pub memory: Option<Memory>,
    /// The disk of the home, where it can be asked.
    #[serde(default)]
    pub disk: Option<Disk>,
    /// Processor time that the container has used, in milliseconds of one core, where the kernel tells.
    #[serde(default)]
    pub cpu_ms: Option<u64>,
    /// How long the gateway took to answer its last probe, in milliseconds, once it has answered one.
    #[serde(default)]
    pub probe_ms: Option<u64>,
    /// How many processes there are.
    #[serde(default)]
    pub processes: ProcessCount,
    /// The bot's snapshots; `None` when it has no repository.
    #[serde(default)]
    pub backup: Option<BackupStatus>,
}

#[cfg(test)]
mod tests;
