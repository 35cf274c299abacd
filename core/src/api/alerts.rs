//! Alerts as admins see and steer them. Times are milliseconds since 1970.

use serde::{Deserialize, Serialize};

use super::parameter::{Parameter, Takes, texts_of};
use crate::alerts::incident::Incident;
use crate::alerts::policy::{AlertSettings, QuietHours};
use crate::alerts::rules::{Rule, Severity};
use crate::alerts::sink::SinkKind;

/// What can be asked of the alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertCall {
    /// The incidents, the latest first.
    Incidents,
    /// Somebody knows of an incident.
    Acknowledge,
    /// The sinks.
    Sinks,
    /// Adds or replaces a sink.
    SetSink,
    /// Removes a sink.
    RemoveSink,
    /// Tries a sink now.
    TestSink,
    /// What is muted.
    Mutes,
    /// Mutes something until a time.
    Mute,
    /// Ends a mute.
    Unmute,
    /// Rules and quiet hours as they hold.
    Settings,
    /// Replaces thresholds and quiet hours.
    SetSettings,
}

/// Whether an incident goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncidentState {
    /// It does.
    Open,
    /// It is over.
    Closed,
}

impl IncidentState {
    /// What a query may name.
    pub const ALL: [Self; 2] = [Self::Open, Self::Closed];

    /// Its text in a query.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// What the list of incidents takes in its query.
pub static INCIDENT_QUERY: [Parameter; 4] = [
    Parameter {
        name: "state",
        takes: Takes::OneOf(texts_of!(IncidentState)),
        meaning: "only those that go on, or only those that are over",
        required: false,
    },
    Parameter {
        name: "rule",
        takes: Takes::OneOf(texts_of!(Rule)),
        meaning: "only those of this rule",
        required: false,
    },
    Parameter {
        name: "subject",
        takes: Takes::Text,
        meaning: "only those of this user id, part of the platform, or sink",
        required: false,
    },
    Parameter {
        name: "before",
        takes: Takes::Number(u32::MAX as u64),
        meaning: "the `next` of the page before",
        required: false,
    },
];

/// What somebody wants to see of the incidents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncidentQuery {
    /// Only those that go on, or are over.
    pub state: Option<IncidentState>,
    /// Only those of this rule.
    pub rule: Option<Rule>,
    /// Only those of this subject.
    pub subject: Option<String>,
    /// Only those before this one.
    pub before: Option<u32>,
}

impl IncidentQuery {
    /// Reads the names and values of a query that [`INCIDENT_QUERY`] allows.
    pub fn read<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut query = Self::default();
        for (name, value) in pairs {
            match name {
                "state" => {
                    query.state = IncidentState::ALL
                        .into_iter()
                        .find(|state| state.as_str() == value)
                }
                "rule" => query.rule = Rule::parse(value),
                "subject" => query.subject = (!value.is_empty()).then(|| value.to_owned()),
                "before" => query.before = value.parse().ok(),
                _ => {}
            }
        }
        query
    }
}

/// An incident as admins see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ListedIncident {
    /// By which it is acknowledged.
    pub id: String,
    /// What is wrong.
    pub rule: Rule,
    /// In a sentence.
    pub title: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// With what: a user id, a part of the platform, or a sink.
    pub subject: String,
    /// When it began to be an incident.
    pub opened_at: u64,
    /// When it was last seen, within five minutes.
    pub last_seen_at: u64,
    /// How often its cause came.
    pub count: u64,
    /// When it was told; null where nobody was: it is muted, or another one explains it.
    pub told_at: Option<u64>,
    /// When it was told once more.
    pub escalated_at: Option<u64>,
    /// When it was over.
    pub closed_at: Option<u64>,
    /// Why it was over.
    pub closed_reason: Option<String>,
    /// What there is to say about it.
    pub detail: Option<String>,
    /// The incident that explains it.
    pub parent: Option<String>,
    /// The admin who knows of it.
    pub acknowledged_by: Option<String>,
    /// Since when.
    pub acknowledged_at: Option<u64>,
    /// Where it stands what to do.
    pub runbook: String,
}

impl From<Incident> for ListedIncident {
    fn from(incident: Incident) -> Self {
        let facts = incident.rule.facts();
        Self {
            id: incident.id,
            rule: incident.rule,
            title: facts.title,
            severity: facts.severity,
            subject: incident.subject,
            opened_at: incident.opened_at.unwrap_or(incident.first_seen_at),
            last_seen_at: incident.last_seen_at,
            count: incident.count,
            told_at: incident.told_at,
            escalated_at: incident.escalated_at,
            closed_at: incident.closed_at,
            closed_reason: incident.closed_reason,
            detail: incident.detail,
            parent: incident.parent,
            acknowledged_by: incident.acknowledged_by,
            acknowledged_at: incident.acknowledged_at,
            runbook: incident.rule.runbook(),
        }
    }
}

/// A page of incidents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct IncidentPage {
    /// The latest first.
    pub incidents: Vec<ListedIncident>,
    /// What `before` has to be for those that follow; null where there are none.
    pub next: Option<u64>,
}

/// Names one incident.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct IncidentName {
    /// Its id.
    pub id: String,
}

/// A sink, without what opens it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ListedSink {
    /// Its name.
    pub name: String,
    /// What it speaks.
    pub kind: SinkKind,
    /// Its host. The rest of its address opens some of them, and is not told.
    pub host: String,
    /// The admin who set it up.
    pub changed_by: String,
    /// When that was.
    pub changed_at: u64,
    /// When it last took a message.
    pub delivered_at: Option<u64>,
    /// Since when it takes none.
    pub failing_since: Option<u64>,
    /// Why it took none the last time.
    pub last_error: Option<String>,
    /// Messages that wait for it.
    pub waiting: u64,
}

/// All sinks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SinkList {
    /// By name.
    pub sinks: Vec<ListedSink>,
}

/// Names one sink.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SinkName {
    /// Its name.
    pub name: String,
}

/// What came of trying a sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SinkTest {
    /// Whether it took the message.
    pub delivered: bool,
    /// Why it did not.
    pub error: Option<String>,
}

/// Rules and quiet hours as they hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AlertRules {
    /// When only what is critical is told.
    pub quiet: Option<QuietHours>,
    /// Every rule.
    pub rules: Vec<ListedRule>,
}

/// A rule as it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ListedRule {
    /// Which one.
    pub rule: Rule,
    /// In a sentence.
    pub title: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// How long it must hold before it is an incident, in seconds.
    pub opens_after_s: u64,
    /// How long its cause must be gone before it is over, in seconds.
    pub closes_after_s: u64,
    /// It makes no incidents.
    pub off: bool,
    /// Where it stands what to do.
    pub runbook: String,
}

impl From<AlertSettings> for AlertRules {
    fn from(settings: AlertSettings) -> Self {
        let rules = Rule::ALL.map(|rule| ListedRule {
            rule,
            title: rule.facts().title,
            severity: rule.facts().severity,
            opens_after_s: settings.opens_after_ms(rule) / 1_000,
            closes_after_s: settings.closes_after_ms(rule) / 1_000,
            off: settings.is_off(rule),
            runbook: rule.runbook(),
        });
        Self {
            rules: rules.into(),
            quiet: settings.quiet,
        }
    }
}
