//! What admins decide: thresholds, quiet hours, and what is muted.

use super::{BOT, MINUTE_MS, OTHER, Opened, PLATFORM, Policy, Recovered, Rule, Stored, run, these};
use crate::alerts::policy::{AlertSettings, BadSettings, Mute, QuietHours, RuleSetting};
use crate::alerts::rules::Severity;

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
            wrong.push((Rule::RepositoryDamaged, BOT));
        }
        if minute >= at(25, 0) {
            wrong.push((Rule::PassedOver, OTHER));
        }
        these(&wrong)
    });
    assert_eq!(
        stored.told(),
        [
            (at(21, 30), Opened, Rule::PassedOver),
            (at(24, 0), Opened, Rule::RepositoryDamaged),
            (at(24, 32), Recovered, Rule::RepositoryDamaged),
            // At their end: that what was told is over, and what still goes on. What came and went in between is on the page.
            (at(31, 0), Recovered, Rule::PassedOver),
            (at(31, 0), Opened, Rule::PassedOver),
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
fn what_admins_mute_is_told_to_the_owner() {
    let mute = Mute {
        rule: None,
        subject: Some(BOT.to_owned()),
        until: 30 * MINUTE_MS,
        muted_by: "an admin".into(),
        muted_at: 0,
    };
    let (mut stored, mut owners) = (Stored::default(), Vec::new());
    for minute in 0..20 {
        let facts = match minute {
            2..10 => these(&[(Rule::PassedOver, BOT), (Rule::CapacityShort, PLATFORM)]),
            _ => these(&[]),
        };
        let policy = Policy {
            settings: &AlertSettings::default(),
            mutes: std::slice::from_ref(&mute),
        };
        let changes = stored.tick(minute * MINUTE_MS, &facts, policy);
        let news = changes.owners_news().unwrap();
        owners.extend(news.into_iter().map(|one| (minute, one.kind, one.user)));
    }
    assert_eq!(
        owners,
        [(2, Opened, BOT.to_owned()), (12, Recovered, BOT.to_owned())]
    );
    let rules: Vec<Rule> = stored.told().into_iter().map(|(_, _, rule)| rule).collect();
    assert_eq!(rules, [Rule::CapacityShort, Rule::CapacityShort]);
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
    let both = |_| these(&[(Rule::PassedOver, BOT), (Rule::RepositoryDamaged, OTHER)]);
    for (mutes, told) in [
        (
            vec![mute(Some(Rule::PassedOver), None, 30)],
            [(Rule::RepositoryDamaged, 0), (Rule::PassedOver, 30)],
        ),
        (
            vec![mute(None, Some(OTHER), 20)],
            [(Rule::PassedOver, 0), (Rule::RepositoryDamaged, 20)],
        ),
        (
            vec![mute(Some(Rule::RepositoryDamaged), Some(BOT), 20)],
            // The worst first.
            [(Rule::RepositoryDamaged, 0), (Rule::PassedOver, 0)],
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
fn settings_of_another_version_are_read_without_what_is_unknown() {
    let stored = r#"{"quiet":{"from":"22:00","to":"07:00","zone":"CET"},"bored":1,"rules":[{"rule":"bored","off":true},
        {"rule":"start-slow","opens_after_s":170,"bored":1}]}"#;
    let read = AlertSettings::stored(stored).unwrap();
    assert_eq!(read.quiet, quiet().quiet);
    let rules: Vec<_> = read
        .rules
        .iter()
        .map(|one| (one.rule, one.opens_after_s))
        .collect();
    assert_eq!(rules, [(Rule::StartSlow, Some(170))]);
    let own = serde_json::to_string(&read).unwrap();
    assert_eq!(AlertSettings::stored(&own).unwrap(), read);
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
        rule: Rule::RepositoryDamaged,
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
