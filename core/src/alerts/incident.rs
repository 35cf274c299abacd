//! An incident: one thing that is wrong with one subject, from when it was first seen until everybody knows it is over.

use serde::{Deserialize, Serialize};

use super::rules::Rule;

/// What is seen again sooner than this is not written again: a hundred open incidents would be a hundred rows a minute.
pub const SIGHTING_MS: u64 = 5 * 60_000;
/// What waits to become an incident begins anew after so long without a look: nobody knows that it held meanwhile. Twice as long
/// as a sighting may be old.
pub const UNSEEN_MS: u64 = 2 * SIGHTING_MS;
/// An incident that nobody has acknowledged is told once more an hour after it was told.
pub const ESCALATES_AFTER_MS: u64 = 60 * 60_000;
/// How long closed incidents are kept: as long as the history.
pub const KEPT_MS: u64 = crate::bot::history::KEPT_MS;

/// Its row. At most one of a rule and subject is not closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// By which it is known.
    pub id: String,
    /// What is wrong.
    pub rule: Rule,
    /// With what: a user id, a part of the platform, or a sink.
    pub subject: String,
    /// Grows with each change: of two that change the same, the second is refused.
    pub revision: u64,
    /// When it was first seen.
    pub first_seen_at: u64,
    /// When it had held for long enough to be an incident; until then it waits.
    pub opened_at: Option<u64>,
    /// When it was last seen, within [`SIGHTING_MS`].
    pub last_seen_at: u64,
    /// Since when its cause is gone.
    pub gone_since: Option<u64>,
    /// How often its cause came: once, and again after each time it was gone for less than it takes to be over.
    pub count: u64,
    /// When it was told.
    pub told_at: Option<u64>,
    /// When the owner of the bot it is about was told, whatever admins have muted.
    #[serde(default)]
    pub owner_told_at: Option<u64>,
    /// When it was told once more.
    pub escalated_at: Option<u64>,
    /// When it was over.
    pub closed_at: Option<u64>,
    /// Why it was over.
    pub closed_reason: Option<String>,
    /// Whether nothing of it has to be told any more.
    pub settled: u64,
    /// What there is to say about it.
    pub detail: Option<String>,
    /// The incident that explains it.
    pub parent: Option<String>,
    /// The admin who knows of it.
    pub acknowledged_by: Option<String>,
    /// Since when.
    pub acknowledged_at: Option<u64>,
}

impl Incident {
    /// What was seen for the first time.
    pub fn waiting(id: String, rule: Rule, subject: String, now: u64) -> Self {
        Self {
            id,
            rule,
            subject,
            revision: 1,
            first_seen_at: now,
            opened_at: None,
            last_seen_at: now,
            gone_since: None,
            count: 1,
            told_at: None,
            owner_told_at: None,
            escalated_at: None,
            closed_at: None,
            closed_reason: None,
            settled: 0,
            detail: None,
            parent: None,
            acknowledged_by: None,
            acknowledged_at: None,
        }
    }

    /// Whether it goes on.
    pub fn is_open(&self) -> bool {
        self.opened_at.is_some() && self.closed_at.is_none()
    }
}

/// What is told about an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// It began.
    Opened,
    /// It goes on, and nobody has acknowledged it.
    Escalated,
    /// It is over.
    Recovered,
    /// Nothing is wrong: an admin tries a sink.
    Test,
}

impl NoticeKind {
    /// Its text in JSON and in D1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Escalated => "escalated",
            Self::Recovered => "recovered",
            Self::Test => "test",
        }
    }
}

/// One thing to tell, as it was when it was to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What of it.
    pub kind: NoticeKind,
    /// Which incident.
    pub incident: String,
    /// What is wrong; of a test nothing is.
    pub rule: Option<Rule>,
    /// With what.
    pub subject: String,
    /// What there is to say about it.
    pub detail: Option<String>,
    /// When it began.
    pub opened_at: u64,
    /// When it was over.
    pub closed_at: Option<u64>,
    /// How often its cause came.
    pub count: u64,
}

impl Notice {
    /// What to tell of an incident.
    pub fn of(kind: NoticeKind, incident: &Incident) -> Self {
        Self {
            kind,
            incident: incident.id.clone(),
            rule: Some(incident.rule),
            subject: incident.subject.clone(),
            detail: incident.detail.clone(),
            opened_at: incident.opened_at.unwrap_or(incident.first_seen_at),
            closed_at: incident.closed_at,
            count: incident.count,
        }
    }

    /// What an admin tries a sink with.
    pub fn test(id: String, sink: &str, now: u64) -> Self {
        Self {
            kind: NoticeKind::Test,
            incident: id,
            rule: None,
            subject: sink.to_owned(),
            detail: None,
            opened_at: now,
            closed_at: None,
            count: 1,
        }
    }

    /// Whether this sink is told: not of itself, when it fails.
    pub fn is_for(&self, sink: &str) -> bool {
        self.rule != Some(Rule::SinkFailing) || self.subject != sink
    }

    /// The message's id at a sink: the same whenever it is tried, and no second one like it is ever made. Without a full stop, which
    /// Standard Webhooks puts behind it.
    pub fn message_id(&self, sink: &str) -> String {
        format!("{}_{}_{sink}", self.incident, self.kind.as_str())
    }
}
