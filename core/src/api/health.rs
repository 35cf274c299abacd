//! How the platform is, as an admin or a monitor reads it.

use serde::{Deserialize, Serialize};

use super::bot::Health;
use super::parameter::{Parameter, Takes};
use crate::jobs::watch::{self, ComponentState, Tick, Verdict};

/// A part that nobody has looked at for so long is one nobody knows anything of: five ticks.
pub const STALE_MS: u64 = 5 * 60_000;
/// The one thing `status` takes.
pub const ALWAYS_OK: &str = "200";

/// What the report takes in its query.
pub static HEALTH_QUERY: [Parameter; 1] = [Parameter {
    name: "status",
    takes: Takes::OneOf(&[ALWAYS_OK]),
    meaning: "answer with the report also while something is wrong",
    required: false,
}];

/// The part whose state follows from the sinks themselves.
pub const ALERT_SINKS: &str = "alert-sinks";
/// The parts, in the order in which they are told.
pub const COMPONENTS: [&str; 7] = [
    "cron",
    "database",
    "bucket",
    "queue",
    "identity-provider",
    "container-platform",
    ALERT_SINKS,
];

/// How the platform is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct HealthReport {
    /// Unhealthy if one of its parts is, unknown if nobody knows whether cron comes.
    pub health: Health,
    /// Its parts.
    pub components: Vec<ComponentHealth>,
}

/// How a part of it is. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ComponentHealth {
    /// Which part.
    pub component: &'static str,
    /// How it is: unhealthy also if it works and something is wrong.
    pub health: Health,
    /// Since when; null where nobody knows.
    pub since: Option<u64>,
    /// Why it is not as it should be.
    pub reason: Option<String>,
    /// When it was last looked at.
    pub checked_at: Option<u64>,
}

/// What is written of a part.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HealthRow {
    /// Which part.
    pub component: String,
    /// How it was found.
    pub state: ComponentState,
    /// Since when; nothing where nobody knows.
    pub since: Option<u64>,
    /// Why it is not as it should be.
    pub reason: Option<String>,
    /// When it was last looked at.
    pub checked_at: u64,
}

impl HealthReport {
    /// What follows from what is written, from the last ticks, the newest first, and from the database having told both.
    pub fn of(rows: &[HealthRow], ticks: &[Tick], dead: u32, has_queue: bool, now: u64) -> Self {
        let queue = watch::queue(has_queue, ticks, dead, now);
        let components: Vec<_> = COMPONENTS
            .iter()
            .map(|component| component_health(component, rows, ticks, &queue, now))
            .collect();
        let has = |health| components.iter().any(|part| part.health == health);
        let cron_is_known = components
            .iter()
            .any(|part| part.component == "cron" && part.health != Health::Unknown);
        let health = match cron_is_known {
            _ if has(Health::Unhealthy) => Health::Unhealthy,
            true => Health::Healthy,
            false => Health::Unknown,
        };
        Self { health, components }
    }

    /// What there is to say while the database does not answer: that alone, because it knows all else.
    pub fn without_database(now: u64) -> Self {
        let reason = |component| match component {
            "database" => "it does not answer",
            _ => "the database would know, and does not answer",
        };
        let components = COMPONENTS.iter().map(|component| ComponentHealth {
            component,
            health: match *component {
                "database" => Health::Unhealthy,
                _ => Health::Unknown,
            },
            since: None,
            reason: Some(reason(*component).to_owned()),
            checked_at: (*component == "database").then_some(now),
        });
        Self {
            health: Health::Unhealthy,
            components: components.collect(),
        }
    }

    /// What is wrong, in words.
    pub fn faults(&self) -> String {
        let wrong = self
            .components
            .iter()
            .filter(|part| part.health == Health::Unhealthy);
        let told: Vec<_> = wrong
            .map(|part| {
                format!(
                    "{}: {}",
                    part.component,
                    part.reason.as_deref().unwrap_or("unhealthy")
                )
            })
            .collect();
        told.join("; ")
    }
}

fn component_health(
    component: &'static str,
    rows: &[HealthRow],
    ticks: &[Tick],
    queue: &Verdict,
    now: u64,
) -> ComponentHealth {
    let row = rows.iter().find(|row| row.component == component);
    let live = match component {
        "cron" => Some(watch::cron(ticks, now)),
        "queue" => Some(queue.clone()),
        _ => None,
    };
    let (state, reason) = match (component, live, row) {
        // It has just told all this; what is written of it is that it was slow, or away.
        ("database", _, Some(row)) if now.saturating_sub(row.checked_at) <= STALE_MS => {
            (row.state, row.reason.clone())
        }
        ("database", ..) => (ComponentState::Ok, None),
        (_, Some(verdict), _) => (verdict.state, verdict.reason),
        (_, None, Some(row)) if now.saturating_sub(row.checked_at) > STALE_MS => {
            let minutes = now.saturating_sub(row.checked_at) / 60_000;
            (
                ComponentState::Unknown,
                Some(format!("nobody has looked for {minutes} minutes")),
            )
        }
        (_, None, Some(row)) => (row.state, row.reason.clone()),
        (_, None, None) => (ComponentState::Unknown, Some("nobody has looked yet".into())),
    };
    let health = match state {
        ComponentState::Ok => Health::Healthy,
        ComponentState::Degraded | ComponentState::Down => Health::Unhealthy,
        ComponentState::Unknown => Health::Unknown,
    };
    let as_written = row.filter(|row| row.state == state);
    ComponentHealth {
        component,
        health,
        since: as_written.and_then(|row| row.since),
        reason,
        checked_at: match component {
            "database" | "cron" | "queue" => Some(now),
            _ => row.map(|row| row.checked_at),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 100 * 60_000;

    fn row(component: &str, state: ComponentState, checked_at: u64) -> HealthRow {
        HealthRow {
            component: component.into(),
            state,
            since: Some(7),
            reason: Some("a reason".into()),
            checked_at,
        }
    }

    fn tick() -> Tick {
        Tick {
            started_at: NOW - 30_000,
            finished_at: Some(NOW - 29_000),
            queued: 1,
            consumed: 1,
        }
    }

    fn told(rows: &[HealthRow], ticks: &[Tick]) -> (Health, Vec<Health>) {
        let report = HealthReport::of(rows, ticks, 0, true, NOW);
        (
            report.health,
            report.components.iter().map(|part| part.health).collect(),
        )
    }

    #[test]
    fn the_report_is_unhealthy_if_a_part_is_and_unknown_without_cron() {
        use Health::{Healthy, Unhealthy, Unknown};
        let nobody = [Unknown, Healthy, Unknown, Unknown, Unknown, Unknown, Unknown];
        assert_eq!(told(&[], &[]), (Unknown, nobody.to_vec()));
        let ok = ["bucket", "identity-provider"].map(|part| row(part, ComponentState::Ok, NOW));
        let well = [Healthy, Healthy, Healthy, Healthy, Healthy, Unknown, Unknown];
        assert_eq!(told(&ok, &[tick()]), (Healthy, well.to_vec()));
        for state in [ComponentState::Down, ComponentState::Degraded] {
            let (health, parts) = told(&[row("bucket", state, NOW)], &[tick()]);
            assert_eq!((health, parts.get(2)), (Unhealthy, Some(&Unhealthy)));
        }
        let late = Tick {
            started_at: NOW - 10 * 60_000,
            finished_at: Some(NOW - 10 * 60_000),
            ..tick()
        };
        assert_eq!(told(&ok, &[late]).0, Unhealthy);
    }

    #[test]
    fn the_database_is_told_of_also_while_it_is_away() {
        let away = HealthReport::without_database(NOW);
        assert_eq!(
            (away.health, away.faults()),
            (Health::Unhealthy, "database: it does not answer".into())
        );
        let unknown = away
            .components
            .iter()
            .filter(|part| part.health == Health::Unknown);
        assert_eq!(unknown.count(), COMPONENTS.len() - 1);
        let slow = |age| told(&[row("database", ComponentState::Degraded, NOW - age)], &[tick()]).0;
        assert_eq!(
            (slow(0), slow(STALE_MS + 1)),
            (Health::Unhealthy, Health::Healthy)
        );
    }

    #[test]
    fn what_nobody_has_looked_at_lately_is_unknown() {
        for (age, expected) in [(STALE_MS, Health::Unhealthy), (STALE_MS + 1, Health::Unknown)] {
            let (_, parts) = told(&[row("bucket", ComponentState::Down, NOW - age)], &[tick()]);
            assert_eq!(parts.get(2), Some(&expected), "{age}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_words_and_since_when() {
        let report = HealthReport::of(
            &[row("bucket", ComponentState::Down, NOW)],
            &[tick()],
            0,
            true,
            NOW,
        );
        assert_eq!(report.faults(), "bucket: a reason");
        let bucket = report
            .components
            .iter()
            .find(|part| part.component == "bucket")
            .unwrap();
        assert_eq!((bucket.since, bucket.checked_at), (Some(7), Some(NOW)));
    }
}
