//! The rules, in one table: what each watches, how long it must hold, how long its cause must be gone, and how bad it is.
//!
//! A new rule is a line here, what it is seen by in [`facts`](super::facts), and its section in `docs/operations.md`.

use serde::{Deserialize, Serialize};

/// A minute: cron looks once in each.
pub const MINUTE_MS: u64 = 60_000;

/// How long at least what a cause for the whole platform may explain waits: the cause is an incident after two minutes, and is
/// first looked for by the tick after the one that sees its first bot.
pub const EXPLAINED_AFTER_MS: u64 = 3 * MINUTE_MS;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Severity {
    /// It can wait for the morning.
    Warning,
    /// Somebody is without their bot, or data is in danger: it is told in quiet hours as well.
    Critical,
}

impl Severity {
    /// Its text in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What a rule's subjects are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watches {
    /// Bots: the subject is a user id.
    Bots,
    /// The platform as a whole: the subject is `platform`.
    Platform,
    /// A part of the platform whose health is kept under this name, which is the subject.
    Component(&'static str),
    /// Sinks of alerts: the subject is one's name.
    Sinks,
}

/// What there is to know of a rule.
#[derive(Debug, Clone, Copy)]
pub struct RuleFacts {
    /// What its subjects are.
    pub watches: Watches,
    /// How bad it is.
    pub severity: Severity,
    /// How long it must hold before it is an incident, unless an admin says otherwise.
    pub opens_after_ms: u64,
    /// How long its cause must be gone before it is over, unless an admin says otherwise.
    pub closes_after_ms: u64,
    /// In a sentence.
    pub title: &'static str,
    /// Causes for the whole platform that explain it: while one of them is open, it is recorded and not told.
    pub explained_by: &'static [Rule],
}

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident = $name:literal: $watches:expr, $severity:ident,
        opens $opens:expr, closes $closes:expr, $title:literal, [$($cause:ident),*];)*) => {
        /// A rule by which something is an incident.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        pub enum Rule {
            $($(#[$doc])* $rule,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$rule),*];

            /// Its text in JSON and in D1.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$rule => $name,)*
                }
            }

            /// What there is to know of it.
            pub const fn facts(self) -> RuleFacts {
                match self {
                    $(Self::$rule => RuleFacts {
                        watches: $watches,
                        severity: Severity::$severity,
                        opens_after_ms: $opens,
                        closes_after_ms: $closes,
                        title: $title,
                        explained_by: &[$(Self::$cause),*],
                    },)*
                }
            }
        }
    };
}

rules! {
    /// A bot that should run does not answer, or nobody knows whether it does.
    BotUnhealthy = "bot-unhealthy": Watches::Bots, Critical, opens EXPLAINED_AFTER_MS, closes 2 * MINUTE_MS,
        "A bot does not answer", [ContainersRefused];
    /// A bot failed so often that it is left alone.
    CrashLoop = "crash-loop": Watches::Bots, Critical, opens EXPLAINED_AFTER_MS, closes 2 * MINUTE_MS,
        "A bot crashes again and again and is left alone", [ContainersRefused, BucketDown];
    /// The deadline of a start is three minutes: this one will not make it, or needs nearly all of it. So it cannot wait longer.
    StartSlow = "start-slow": Watches::Bots, Warning, opens 150_000, closes 2 * MINUTE_MS,
        "A bot takes too long to start", [ContainersRefused];
    /// Snapshots fail, several in a row.
    BackupFailing = "backup-failing": Watches::Bots, Critical, opens 10 * MINUTE_MS, closes 2 * MINUTE_MS,
        "A bot's snapshots fail", [BucketDown];
    /// Changes wait for a snapshot longer than they should.
    BackupOverdue = "backup-overdue": Watches::Bots, Warning, opens 10 * MINUTE_MS, closes 2 * MINUTE_MS,
        "A bot's changes wait for a snapshot", [BucketDown];
    /// A home cannot be made from a snapshot, so its bot does not start.
    RestoreFailing = "restore-failing": Watches::Bots, Critical, opens EXPLAINED_AFTER_MS, closes 2 * MINUTE_MS,
        "A bot's home cannot be restored", [BucketDown];
    /// A start passed over a newer snapshot, and nobody has decided about it.
    PassedOver = "passed-over": Watches::Bots, Warning, opens 0, closes 2 * MINUTE_MS,
        "A bot started from an older snapshot than its newest", [];
    /// Maintenance could not be done.
    MaintenanceFailing = "maintenance-failing": Watches::Bots, Warning, opens EXPLAINED_AFTER_MS, closes 2 * MINUTE_MS,
        "A bot's repository cannot be maintained", [BucketDown];
    /// Maintenance found a repository damaged.
    RepositoryDamaged = "repository-damaged": Watches::Bots, Critical, opens 0, closes 2 * MINUTE_MS,
        "A bot's repository is damaged", [];
    /// The weekly restore into scratch failed: the newest good snapshot may not be one.
    DrillFailing = "drill-failing": Watches::Bots, Critical, opens 0, closes 2 * MINUTE_MS,
        "A bot's snapshot could not be restored in a drill", [];
    /// A gateway ran out of memory twice within a day.
    OutOfMemory = "out-of-memory": Watches::Bots, Warning, opens 0, closes 2 * MINUTE_MS,
        "A bot runs out of memory again and again", [];
    /// Four fifths of what a bot may cost in a month are spent.
    SpendNearLimit = "spend-near-limit": Watches::Bots, Warning, opens 0, closes 2 * MINUTE_MS,
        "A bot has spent most of its monthly limit", [];
    /// All of it is spent: the bot sleeps, and nothing wakes it.
    SpendOverLimit = "spend-over-limit": Watches::Bots, Critical, opens 0, closes 2 * MINUTE_MS,
        "A bot has spent its monthly limit and was put to sleep", [];
    /// Nine of ten slots are taken.
    CapacityShort = "capacity-short": Watches::Platform, Warning, opens 5 * MINUTE_MS, closes 5 * MINUTE_MS,
        "Nearly all slots for bots are taken", [];
    /// Somebody's bot could not wake.
    CapacityRefused = "capacity-refused": Watches::Platform, Critical, opens 0, closes 5 * MINUTE_MS,
        "A bot could not wake because all slots are taken", [];
    /// Cron is late, or does not come at all.
    CronLate = "cron-late": Watches::Component("cron"), Critical, opens 0, closes 5 * MINUTE_MS,
        "Cron is late", [];
    /// D1 is slow, or was away: while it is away no incident can be written down.
    DatabaseFailing = "database-failing": Watches::Component("database"), Critical, opens 0, closes 5 * MINUTE_MS,
        "The database is slow, or was away", [];
    /// R2 does not answer. It closes late, so that what it explains has the time to end as well.
    BucketDown = "bucket-down": Watches::Component("bucket"), Critical, opens 2 * MINUTE_MS, closes 5 * MINUTE_MS,
        "The bucket of the snapshots does not answer", [];
    /// Nobody can sign in.
    IdentityDown = "identity-down": Watches::Component("identity-provider"), Critical, opens 3 * MINUTE_MS, closes 3 * MINUTE_MS,
        "The identity provider does not answer", [];
    /// Messages wait in the queue or ended as dead letters.
    QueueFailing = "queue-failing": Watches::Component("queue"), Critical, opens 2 * MINUTE_MS, closes 5 * MINUTE_MS,
        "The queue of the platform's jobs fails", [];
    /// The container platform starts nothing. It closes late, as `bucket-down`.
    ContainersRefused = "containers-refused": Watches::Component("container-platform"), Critical, opens 2 * MINUTE_MS, closes 5 * MINUTE_MS,
        "The container platform refuses to start bots", [];
    /// Requests fail by the platform's own fault, too many of them.
    AnswersFailing = "answers-failing": Watches::Platform, Critical, opens MINUTE_MS, closes 5 * MINUTE_MS,
        "Too many of the platform's answers fail", [];
    /// More bots have something wrong than one tick looks at.
    BotsLeftOut = "bots-left-out": Watches::Platform, Critical, opens 2 * MINUTE_MS, closes 5 * MINUTE_MS,
        "More bots have something wrong than are looked at", [];
    /// Alerts do not arrive.
    SinkFailing = "sink-failing": Watches::Sinks, Warning, opens 5 * MINUTE_MS, closes MINUTE_MS,
        "Alerts do not reach one of their sinks", [];
}

/// The subject of what concerns the whole platform.
pub const PLATFORM: &str = "platform";

impl Rule {
    /// The rule of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == name)
    }

    /// The rule about a part of the platform.
    pub fn of_component(component: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|rule| matches!(rule.facts().watches, Watches::Component(name) if name == component))
    }

    /// The parts of the platform whose failure explains what is wrong with bots.
    pub fn causes() -> impl Iterator<Item = &'static str> {
        let explains = |cause: &Self| {
            Self::ALL
                .iter()
                .any(|rule| rule.facts().explained_by.contains(cause))
        };
        Self::ALL
            .into_iter()
            .filter(explains)
            .filter_map(|cause| match cause.facts().watches {
                Watches::Component(name) => Some(name),
                _ => None,
            })
    }

    /// Which of what waits for a sink goes first: the lowest. Of the platform before that of single bots, and last what a limit does
    /// as somebody wished: to many bots at once, when a limit is lowered.
    pub fn rank(self) -> u8 {
        let facts = self.facts();
        match (self, facts.severity, facts.watches) {
            (Self::SpendNearLimit | Self::SpendOverLimit, ..) => 3,
            (_, Severity::Warning, _) => 2,
            (_, Severity::Critical, Watches::Bots) => 1,
            (_, Severity::Critical, _) => 0,
        }
    }

    /// Where it stands what to do.
    pub fn runbook(self) -> String {
        format!("docs/operations.md#{}", self.as_str())
    }
}
