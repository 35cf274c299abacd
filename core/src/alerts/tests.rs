use super::evaluate::{Changes, Policy, evaluate};
use super::facts::{Facts, Sighting};
use super::incident::{ESCALATES_AFTER_MS, Incident, NoticeKind, SIGHTING_MS};
use super::policy::{AlertSettings, BadSettings, Mute, QuietHours, RuleSetting};
use super::rules::{MINUTE_MS, PLATFORM, Rule, Severity};

mod seen;

use NoticeKind::{Escalated, Opened, Recovered};

pub(super) const BOT: &str = "de000000-0000-4000-8000-000000000001";

/// What D1 would hold, and what was told.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) incidents: Vec<Incident>,
    pub(super) told: Vec<(u64, NoticeKind, Rule, String, String)>,
    ids: u32,
}

impl Stored {
    pub(super) fn tick(&mut self, now: u64, facts: &Facts, policy: Policy<'_>) -> Changes {
        let live = self
            .incidents
            .iter()
            .filter(|one| one.settled == 0)
            .cloned()
            .collect();
        let mut ids = self.ids;
        let changes = evaluate(facts, live, policy, now, || {
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
    let facts = these(&[(Rule::CrashLoop, BOT)]);
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
    let facts = |_| these(&[(Rule::CrashLoop, BOT)]);
    let stored = run_plain(0..3 * hour, facts);
    assert_eq!(
        stored.told(),
        [(0, Opened, Rule::CrashLoop), (hour, Escalated, Rule::CrashLoop)]
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
fn a_cause_that_turns_out_to_be_none_holds_nothing_back() {
    let stored = run_plain(0..20, |minute| match minute {
        // One bad answer of the bucket's is no incident.
        5 => these(&[(Rule::BucketDown, "bucket"), (Rule::MaintenanceFailing, BOT)]),
        6.. => these(&[(Rule::MaintenanceFailing, BOT)]),
        _ => these(&[]),
    });
    assert_eq!(stored.told(), [(6, Opened, Rule::MaintenanceFailing)]);
}

fn quiet() -> AlertSettings {
    AlertSettings {
        quiet: Some(QuietHours {
            from: "22:00".into(),
            to: "07:00".into(),
        }),
        rules: vec![],
    }
}

#[test]
fn quiet_hours_let_only_what_is_critical_through() {
    let at = |hours: u64, minutes: u64| hours * 60 + minutes;
    let mut stored = Stored::default();
    run(at(21, 0)..at(32, 0), &mut stored, &quiet(), &[], |minute| {
        let mut wrong = vec![];
        if (at(21, 30)..at(23, 0)).contains(&minute) {
            wrong.push((Rule::PassedOver, BOT));
        }
        if (at(23, 0)..at(24, 0)).contains(&minute) {
            wrong.push((Rule::CapacityShort, PLATFORM));
        }
        if (at(24, 0)..at(24, 30)).contains(&minute) {
            wrong.push((Rule::CrashLoop, BOT));
        }
        if minute >= at(25, 0) {
            wrong.push((Rule::MaintenanceFailing, BOT));
        }
        these(&wrong)
    });
    assert_eq!(
        stored.told(),
        [
            (at(21, 30), Opened, Rule::PassedOver),
            (at(24, 0), Opened, Rule::CrashLoop),
            (at(24, 32), Recovered, Rule::CrashLoop),
            // At their end: that what was told is over, and what still goes on. What came and went in between is on the page.
            (at(31, 0), Recovered, Rule::PassedOver),
            (at(31, 0), Opened, Rule::MaintenanceFailing),
        ]
    );
    assert!(
        stored
            .incidents
            .iter()
            .any(|one| one.rule == Rule::CapacityShort && one.settled == 1)
    );
}

#[test]
fn what_is_muted_is_told_at_the_end_of_the_mute_if_it_goes_on() {
    let mute = |rule, subject: Option<&str>, until: u64| Mute {
        rule,
        subject: subject.map(str::to_owned),
        until: until * MINUTE_MS,
        muted_by: BOT.into(),
        muted_at: 0,
    };
    let other = "de000000-0000-4000-8000-000000000002";
    let both = |_| these(&[(Rule::PassedOver, BOT), (Rule::CrashLoop, other)]);
    for (mutes, told) in [
        (
            vec![mute(Some(Rule::PassedOver), None, 30)],
            [(Rule::CrashLoop, 0), (Rule::PassedOver, 30)],
        ),
        (
            vec![mute(None, Some(other), 20)],
            [(Rule::PassedOver, 0), (Rule::CrashLoop, 20)],
        ),
        (
            vec![mute(Some(Rule::CrashLoop), Some(BOT), 20)],
            [(Rule::PassedOver, 0), (Rule::CrashLoop, 0)],
        ),
    ] {
        let mut stored = Stored::default();
        run(0..40, &mut stored, &AlertSettings::default(), &mutes, both);
        let opened: Vec<_> = stored
            .told()
            .into_iter()
            .map(|(at, _, rule)| (rule, at))
            .collect();
        assert_eq!(opened, told, "{mutes:?}");
    }
}

#[test]
fn own_thresholds_hold_and_a_rule_that_is_off_closes_what_it_made() {
    let own = |off, opens_after_s| AlertSettings {
        quiet: None,
        rules: vec![RuleSetting {
            rule: Rule::BotUnhealthy,
            opens_after_s,
            closes_after_s: Some(0),
            off,
        }],
    };
    let facts = |_| these(&[(Rule::BotUnhealthy, BOT)]);
    let mut stored = Stored::default();
    run(0..10, &mut stored, &own(None, Some(600)), &[], facts);
    assert_eq!(stored.told(), []);
    run(10..12, &mut stored, &own(None, Some(600)), &[], facts);
    run(12..20, &mut stored, &own(Some(true), None), &[], facts);
    assert_eq!(
        stored.told(),
        [
            (10, Opened, Rule::BotUnhealthy),
            (12, Recovered, Rule::BotUnhealthy)
        ]
    );
    assert_eq!(
        stored.incidents[0].closed_reason.as_deref(),
        Some("the rule was switched off")
    );
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let hours = |from: &str, to: &str| AlertSettings {
        quiet: Some(QuietHours {
            from: from.into(),
            to: to.into(),
        }),
        rules: vec![],
    };
    assert_eq!(quiet().check(), Ok(()));
    for (from, to, expected) in [
        ("22:00", "24:00", BadSettings::NotATime),
        ("7:00", "08:00", BadSettings::NotATime),
        ("+7:00", "08:00", BadSettings::NotATime),
        ("07:60", "08:00", BadSettings::NotATime),
        ("07:00", "07:00", BadSettings::NoHours),
    ] {
        assert_eq!(hours(from, to).check(), Err(expected), "{from} {to}");
    }
    let rule = |seconds| RuleSetting {
        rule: Rule::CrashLoop,
        opens_after_s: Some(seconds),
        closes_after_s: None,
        off: None,
    };
    let of = |rules| AlertSettings { quiet: None, rules };
    assert_eq!(of(vec![rule(1)]).check(), Ok(()));
    assert_eq!(of(vec![rule(1), rule(2)]).check(), Err(BadSettings::Twice));
    assert_eq!(of(vec![rule(86_401)]).check(), Err(BadSettings::TooLong));
    assert!(!quiet().holds_back(Severity::Critical, 23 * 60 * MINUTE_MS));
    assert!(quiet().holds_back(Severity::Warning, 23 * 60 * MINUTE_MS));
    assert!(!hours("08:00", "09:00").holds_back(Severity::Warning, 9 * 60 * MINUTE_MS));
}
