use super::evaluate::{IncidentChanges, Policy, evaluate};
use super::facts::{Facts, Outage, Sighting};
use super::incident::{ESCALATES_AFTER_MS, Incident, NoticeKind, SIGHTING_MS};
use super::policy::{AlertSettings, Mute};
use super::rules::{MINUTE_MS, PLATFORM, Rule};

mod policy;
mod seen;

use NoticeKind::{Escalated, Opened, Recovered};

pub(super) const BOT: &str = "de000000-0000-4000-8000-000000000001";
const OTHER: &str = "de000000-0000-4000-8000-000000000002";

/// What D1 would hold, and what was told.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) incidents: Vec<Incident>,
    pub(super) told: Vec<(u64, NoticeKind, Rule, String, String)>,
    ids: u32,
}

impl Stored {
    pub(super) fn tick(&mut self, now: u64, facts: &Facts, policy: Policy<'_>) -> IncidentChanges {
        let live = self
            .incidents
            .iter()
            .filter(|one| one.settled == 0)
            .cloned()
            .collect();
        let mut ids = self.ids;
        let facts = Facts {
            outages: self.outages(),
            ..facts.clone()
        };
        let changes = evaluate(&facts, live, policy, now, || {
            ids += 1;
            format!("{ids:04x}")
        });
        self.ids = ids;
        self.incidents.extend(changes.added.iter().cloned());
        for changed in &changes.changed {
            let stored = self
                .incidents
                .iter_mut()
                .find(|one| one.id == changed.id)
                .unwrap();
            assert_eq!(stored.revision + 1, changed.revision);
            *stored = changed.clone();
        }
        for dropped in &changes.dropped {
            assert!(dropped.opened_at.is_none(), "only what never opened is dropped");
            self.incidents.retain(|one| one.id != dropped.id);
        }
        for notice in &changes.notices {
            let rule = notice.rule.unwrap();
            let told = (
                now,
                notice.kind,
                rule,
                notice.subject.clone(),
                notice.incident.clone(),
            );
            self.told.push(told);
        }
        changes
    }

    fn outages(&self) -> Vec<Outage> {
        let over = |one: &Incident| {
            Some(Outage {
                rule: one.rule,
                from: one.first_seen_at,
                to: one.closed_at?,
            })
        };
        self.incidents.iter().filter_map(over).collect()
    }

    fn told(&self) -> Vec<(u64, NoticeKind, Rule)> {
        self.told
            .iter()
            .map(|(at, kind, rule, ..)| (at / MINUTE_MS, *kind, *rule))
            .collect()
    }
}

pub(super) fn sighting(rule: Rule, subject: &str) -> Sighting {
    Sighting {
        rule,
        subject: subject.to_owned(),
        since: None,
        seen_at: None,
        detail: None,
    }
}

fn these(sightings: &[(Rule, &str)]) -> Facts {
    Facts {
        sightings: sightings
            .iter()
            .map(|(rule, subject)| sighting(*rule, subject))
            .collect(),
        ..Facts::default()
    }
}

/// Runs from minute to minute; `facts` says what is wrong in each.
fn run(
    minutes: std::ops::Range<u64>,
    stored: &mut Stored,
    settings: &AlertSettings,
    mutes: &[Mute],
    facts: impl Fn(u64) -> Facts,
) {
    for minute in minutes {
        stored.tick(minute * MINUTE_MS, &facts(minute), Policy { settings, mutes });
    }
}

fn run_plain(minutes: std::ops::Range<u64>, facts: impl Fn(u64) -> Facts) -> Stored {
    let mut stored = Stored::default();
    run(minutes, &mut stored, &AlertSettings::default(), &[], facts);
    stored
}

#[test]
fn an_incident_is_told_once_when_it_held_and_once_when_it_is_over() {
    let stored = run_plain(0..40, |minute| match minute {
        10..20 => these(&[(Rule::BotUnhealthy, BOT)]),
        _ => these(&[]),
    });
    assert_eq!(
        stored.told(),
        [
            (13, Opened, Rule::BotUnhealthy),
            (22, Recovered, Rule::BotUnhealthy)
        ]
    );
    let incident = &stored.incidents[0];
    assert_eq!(incident.closed_reason.as_deref(), Some("the cause is gone"));
    assert_eq!((incident.count, incident.settled), (1, 1));
}

#[test]
fn what_does_not_hold_for_long_enough_is_no_incident() {
    let stored = run_plain(0..40, |minute| match minute % 4 {
        0..3 => these(&[(Rule::BotUnhealthy, BOT)]),
        _ => these(&[]),
    });
    assert_eq!((stored.told.len(), stored.incidents.len()), (0, 0));
}

#[test]
fn a_cause_that_comes_back_soon_is_the_same_incident_and_counted() {
    let stored = run_plain(0..40, |minute| match minute {
        5..=11 | 13..=19 | 21..=24 => these(&[(Rule::BotUnhealthy, BOT)]),
        _ => these(&[]),
    });
    assert_eq!(stored.told().len(), 2);
    assert_eq!(stored.incidents[0].count, 3);
}

#[test]
fn when_a_cause_began_counts_where_it_is_known() {
    let since = 100 * MINUTE_MS - 150_000;
    let slow = |since| Facts {
        sightings: vec![Sighting {
            since: Some(since),
            ..sighting(Rule::StartSlow, BOT)
        }],
        ..Facts::default()
    };
    let stored = run_plain(100..101, |_| slow(since));
    assert_eq!(stored.told(), [(100, Opened, Rule::StartSlow)]);
    // Each start is quick: the ticks see one of them after the other.
    let stored = run_plain(100..120, |minute| slow(minute * MINUTE_MS - 40_000));
    assert_eq!(stored.told(), []);
}

#[test]
fn nothing_is_written_while_nothing_changes() {
    let mut stored = Stored::default();
    let settings = AlertSettings::default();
    let policy = Policy {
        settings: &settings,
        mutes: &[],
    };
    let facts = these(&[(Rule::RepositoryDamaged, BOT)]);
    assert_eq!(stored.tick(0, &facts, policy).added.len(), 1);
    let mut writes = 0;
    for minute in 1..60 {
        writes += stored.tick(minute * MINUTE_MS, &facts, policy).changed.len();
    }
    assert_eq!(writes as u64, 59 * MINUTE_MS / SIGHTING_MS);
    assert!(stored.tick(60 * MINUTE_MS, &these(&[]), policy).changed.len() == 1);
}

#[test]
fn an_incident_nobody_acknowledges_is_told_again_after_an_hour() {
    let hour = ESCALATES_AFTER_MS / MINUTE_MS;
    let facts = |_| these(&[(Rule::RepositoryDamaged, BOT)]);
    let stored = run_plain(0..3 * hour, facts);
    assert_eq!(
        stored.told(),
        [
            (0, Opened, Rule::RepositoryDamaged),
            (hour, Escalated, Rule::RepositoryDamaged)
        ]
    );
    let mut stored = run_plain(0..2, facts);
    stored.incidents[0].acknowledged_at = Some(MINUTE_MS);
    run(2..3 * hour, &mut stored, &AlertSettings::default(), &[], facts);
    assert_eq!(stored.told().len(), 1);
}

#[test]
fn a_platform_wide_cause_swallows_what_it_explains() {
    let bots: Vec<String> = (0..100)
        .map(|n| format!("de000000-0000-4000-8000-{n:012}"))
        .collect();
    let failing = |with_cause: bool, bots: &[String]| {
        let cause = with_cause.then(|| sighting(Rule::BucketDown, "bucket"));
        let children = bots.iter().map(|bot| sighting(Rule::RestoreFailing, bot));
        Facts {
            sightings: cause.into_iter().chain(children).collect(),
            ..Facts::default()
        }
    };
    // The bucket fails at 10, and the bots with it; it is back at 30, and all bots but one as well.
    let stored = run_plain(0..60, |minute| match minute {
        10..30 => failing(true, &bots),
        30..50 => failing(false, &bots[..1]),
        _ => Facts::default(),
    });
    assert_eq!(
        stored.told(),
        [
            (12, Opened, Rule::BucketDown),
            (35, Recovered, Rule::BucketDown),
            (35, Opened, Rule::RestoreFailing),
            (52, Recovered, Rule::RestoreFailing),
        ]
    );
    let parent = stored
        .incidents
        .iter()
        .find(|one| one.rule == Rule::BucketDown)
        .unwrap();
    let children = stored
        .incidents
        .iter()
        .filter(|one| one.parent.as_ref() == Some(&parent.id));
    assert_eq!(children.count(), 100);
    assert!(
        stored
            .incidents
            .iter()
            .all(|one| one.closed_at.is_some() && one.settled == 1)
    );
}

#[test]
fn thousands_that_begin_at_once_are_told_within_minutes_the_worst_first() {
    let spent: Vec<String> = (0..1_200)
        .map(|n| format!("de000000-0000-4000-8000-{n:012}"))
        .collect();
    let mut stored = Stored::default();
    let settings = AlertSettings::default();
    let policy = Policy {
        settings: &settings,
        mutes: &[],
    };
    for (from, is_wrong) in [(0, true), (10, false)] {
        let mut facts = Facts::default();
        if is_wrong {
            let of_bots = spent.iter().map(|user| sighting(Rule::SpendOverLimit, user));
            facts.sightings = of_bots.chain([sighting(Rule::RepositoryDamaged, BOT)]).collect();
        }
        let mut left = Vec::new();
        for minute in from..from + 8 {
            left.push(stored.tick(minute * MINUTE_MS, &facts, policy).left);
        }
        // Those with nothing left to judge count as well while there is no room; a cause has to be gone for two minutes.
        assert!(
            left.iter().take(2).all(|left| *left > 0) && left.last() == Some(&0),
            "{left:?}"
        );
    }
    assert_eq!(
        stored.told.first().map(|told| told.2),
        Some(Rule::RepositoryDamaged)
    );
    let told = |kind| stored.told.iter().filter(|told| told.1 == kind).count();
    assert_eq!((told(Opened), told(Recovered)), (1_201, 1_201));
}

#[test]
fn what_nobody_has_seen_since_its_cause_ended_is_not_told() {
    // The bucket fails from 10 to 30. Two bots fail with it; one of them is tried again at 40 and fails again, of the other
    // nobody hears any more.
    let failing = |minute: u64| {
        let of = |subject, seen_at| Sighting {
            seen_at: Some(seen_at * MINUTE_MS),
            ..sighting(Rule::CrashLoop, subject)
        };
        let tried = if minute < 40 { 20 } else { 40 };
        let mut sightings = vec![of(BOT, 20), of(OTHER, tried)];
        if minute < 30 {
            sightings.push(sighting(Rule::BucketDown, "bucket"));
        }
        Facts {
            sightings,
            ..Facts::default()
        }
    };
    let mut stored = Stored::default();
    run(10..60, &mut stored, &AlertSettings::default(), &[], failing);
    assert_eq!(
        stored.told(),
        [
            (12, Opened, Rule::BucketDown),
            (35, Recovered, Rule::BucketDown),
            (40, Opened, Rule::CrashLoop),
        ]
    );
    assert_eq!(stored.told.last().map(|told| told.3.as_str()), Some(OTHER));
    // It is still there for whoever looks, and a new one is not made of what an old row says.
    let open = |stored: &Stored| stored.incidents.iter().filter(|one| one.is_open()).count();
    assert_eq!((open(&stored), stored.incidents.len()), (2, 3));
    stored.incidents.retain(|one| one.rule == Rule::BucketDown);
    run(60..80, &mut stored, &AlertSettings::default(), &[], |_| {
        failing(30)
    });
    assert_eq!((stored.incidents.len(), stored.told.len()), (1, 3));
}

#[test]
fn a_cause_that_turns_out_to_be_none_holds_nothing_back() {
    let stored = run_plain(0..20, |minute| match minute {
        // One bad answer of the bucket's is no incident.
        5 => these(&[(Rule::BucketDown, "bucket"), (Rule::MaintenanceFailing, BOT)]),
        6..8 => these(&[(Rule::MaintenanceFailing, BOT)]),
        8 => these(&[(Rule::BucketDown, "bucket"), (Rule::MaintenanceFailing, BOT)]),
        9.. => these(&[(Rule::MaintenanceFailing, BOT)]),
        _ => these(&[]),
    });
    // By then it may have been the bucket for three minutes.
    assert_eq!(stored.told(), [(9, Opened, Rule::MaintenanceFailing)]);
}
