//! What is seen of the registry, and that the table of rules fits together.

use super::{MINUTE_MS, Opened, Recovered, Stored, run};
use crate::alerts::facts::{
    AnswerFacts, BotFacts, ComponentFacts, Facts, FleetFacts, MAX_BOTS, MAX_SPENT, SinkFacts, facts,
    only_spent, rule_of,
};
use crate::alerts::policy::AlertSettings;
use crate::alerts::rules::{EXPLAINED_AFTER_MS, Rule, Watches};
use crate::bot::bot_state::BotState;
use crate::bot::heartbeat::LATE_MS;
use crate::bot::incidents::IncidentKind;

fn bot(n: u32, state: BotState, health: &str, incidents: &str) -> BotFacts {
    BotFacts {
        user_id: format!("de000000-0000-4000-8000-{n:012}").parse().unwrap(),
        state,
        since: 7,
        health: health.into(),
        awake: 1,
        heartbeat_at: 7,
        incidents: incidents.into(),
    }
}

#[test]
fn a_bot_on_its_way_is_neither_well_nor_ill_until_it_is_there() {
    use BotState::{BackingOff, Restoring, Running, Starting, Stopping};
    for state in [Starting, Restoring, Stopping, BackingOff, Running] {
        let bots = [bot(1, state, "healthy", "[]")];
        let observed = FleetFacts {
            bots: &bots,
            ..FleetFacts::default()
        };
        let seen = facts(&observed);
        let subject = bots[0].user_id.to_string();
        for rule in [Rule::CrashLoop, Rule::BotUnhealthy] {
            assert_eq!(seen.is_unknown(rule, &subject), state != Running, "{state:?}");
        }
        assert!(!seen.is_unknown(Rule::PassedOver, &subject));
    }
}

#[test]
fn a_bot_nobody_hears_from_is_seen_whatever_it_said_last() {
    use BotState::{Asleep, BackingOff, CrashLooped, Restoring, Running, Starting, Stopping, Unhealthy};
    let now = 100 * MINUTE_MS;
    for state in [
        Starting,
        Restoring,
        Running,
        Unhealthy,
        Stopping,
        CrashLooped,
        BackingOff,
        Asleep,
    ] {
        for (heartbeat_at, is_silent) in [
            (0, false),
            (now - LATE_MS + 1, false),
            (now - LATE_MS, true),
            (1, true),
        ] {
            let mut silent = bot(1, state, "healthy", "[]");
            (silent.heartbeat_at, silent.awake) =
                (heartbeat_at, u64::from(!matches!(state, Asleep | BackingOff)));
            let bots = [silent];
            let seen = facts(&FleetFacts {
                now,
                bots: &bots,
                ..FleetFacts::default()
            });
            let unhealthy = seen
                .sightings
                .iter()
                .filter(|one| one.rule == Rule::BotUnhealthy)
                .count();
            let expected = (is_silent && bots[0].awake == 1) || state == Unhealthy;
            assert_eq!(unhealthy, usize::from(expected), "{state:?} {heartbeat_at}");
            if is_silent && bots[0].awake == 1 {
                assert!(!seen.is_unknown(Rule::BotUnhealthy, &bots[0].user_id.to_string()));
            }
        }
    }
}

#[test]
fn being_unwell_in_one_state_after_the_other_is_one_incident() {
    let mut stored = Stored::default();
    run(0..20, &mut stored, &AlertSettings::default(), &[], |minute| {
        let (state, health) = match minute {
            5 | 6 => (BotState::Running, "unknown"),
            7 | 8 => (BotState::Unhealthy, "unhealthy"),
            _ => (BotState::Running, "healthy"),
        };
        let mut bot = bot(1, state, health, "[]");
        bot.since = minute * MINUTE_MS;
        facts(&FleetFacts {
            bots: &[bot],
            ..FleetFacts::default()
        })
    });
    assert_eq!(
        stored.told(),
        [
            (8, Opened, Rule::BotUnhealthy),
            (11, Recovered, Rule::BotUnhealthy)
        ]
    );
}

#[test]
fn each_thing_that_is_wrong_is_seen_by_its_rule() {
    let seen = |observed: FleetFacts<'_>| -> Vec<Rule> {
        facts(&observed)
            .sightings
            .into_iter()
            .map(|one| one.rule)
            .collect()
    };
    for (state, health, incidents, expected) in [
        (BotState::Running, "healthy", "[]", vec![]),
        (BotState::Running, "unhealthy", "[]", vec![Rule::BotUnhealthy]),
        (BotState::Running, "unknown", "[]", vec![Rule::BotUnhealthy]),
        (BotState::Unhealthy, "healthy", "[]", vec![Rule::BotUnhealthy]),
        (BotState::Starting, "unknown", "[]", vec![Rule::StartSlow]),
        (BotState::Restoring, "unknown", "[]", vec![]),
        (BotState::Stopping, "unknown", "[]", vec![]),
        (BotState::CrashLooped, "unknown", "[]", vec![Rule::CrashLoop]),
        (
            BotState::Asleep,
            "unknown",
            r#"["backup-overdue"]"#,
            vec![Rule::BackupOverdue],
        ),
        (
            BotState::Asleep,
            "unknown",
            r#"["no-capacity"]"#,
            vec![Rule::CapacityRefused],
        ),
        (BotState::Asleep, "unknown", r#"["a-newer-kind"]"#, vec![]),
        (BotState::Asleep, "unknown", "broken", vec![]),
        (
            BotState::Running,
            "healthy",
            r#"["backup-failing","restore-failing","maintenance-failing","snapshot-suspicious","passed-over","database-not-copied","repository-damaged"]"#,
            vec![
                Rule::BackupFailing,
                Rule::RestoreFailing,
                Rule::MaintenanceFailing,
                Rule::PassedOver,
                Rule::RepositoryDamaged,
            ],
        ),
    ] {
        let bots = [bot(1, state, health, incidents)];
        let observed = FleetFacts {
            bots: &bots,
            ..FleetFacts::default()
        };
        assert_eq!(seen(observed), expected, "{state:?} {health} {incidents}");
    }
    for (awake, max_awake, expected) in [
        (17, Some(20), vec![]),
        (18, Some(20), vec![Rule::CapacityShort]),
        (1_000, None, vec![]),
    ] {
        let observed = FleetFacts {
            awake,
            max_awake,
            ..FleetFacts::default()
        };
        assert_eq!(seen(observed), expected, "{awake}");
    }
    for (answers, failed, expected) in [
        (0, 0, vec![]),
        (4, 4, vec![]),
        (50, 5, vec![Rule::AnswersFailing]),
        (51, 5, vec![]),
        (1_000, 99, vec![]),
        (u64::MAX, u64::MAX, vec![Rule::AnswersFailing]),
    ] {
        let of = |class: &str, answers, failed| AnswerFacts {
            class: class.into(),
            answers,
            failed,
        };
        // What a busy class answers well hides nothing.
        let answers = [of("bot", 1_000_000, 3), of("api", answers, failed)];
        let observed = FleetFacts {
            answers: &answers,
            ..FleetFacts::default()
        };
        assert_eq!(seen(observed), expected, "{answers:?}");
    }
    let sinks = [SinkFacts {
        name: "ops".into(),
        failing_since: 1,
        last_error: None,
    }];
    let observed = FleetFacts {
        sinks: &sinks,
        ..FleetFacts::default()
    };
    assert_eq!(seen(observed), [Rule::SinkFailing]);
}

#[test]
fn what_nobody_knows_neither_opens_nor_closes_anything() {
    let component = |state: &str| ComponentFacts {
        component: "bucket".into(),
        state: state.into(),
        since: None,
        reason: None,
    };
    let mut stored = Stored::default();
    let settings = AlertSettings::default();
    run(0..60, &mut stored, &settings, &[], |minute| {
        let state = match minute {
            0..3 => "down",
            3..5 => "degraded",
            30.. => "ok",
            _ => "unknown",
        };
        facts(&FleetFacts {
            components: (minute != 20).then_some(&[component(state)]),
            ..FleetFacts::default()
        })
    });
    assert_eq!(
        stored.told(),
        [(2, Opened, Rule::BucketDown), (35, Recovered, Rule::BucketDown)]
    );

    // More bots than are looked at: those behind them stay as they were.
    let most = u32::try_from(MAX_BOTS).unwrap();
    let many: Vec<_> = (0..most)
        .map(|n| bot(n, BotState::CrashLooped, "unknown", "[]"))
        .collect();
    let seen = facts(&FleetFacts {
        bots: &many,
        ..FleetFacts::default()
    });
    let behind = bot(most, BotState::Asleep, "unknown", "[]").user_id.to_string();
    assert!(seen.is_unknown(Rule::CrashLoop, &behind));
    assert!(!seen.is_unknown(Rule::CrashLoop, &many[0].user_id.to_string()));
    assert!(!seen.is_unknown(Rule::SinkFailing, "zzz"));
    assert_eq!(left_out(&seen).len(), 1, "and that is said");
}

fn left_out(seen: &Facts) -> Vec<&str> {
    let of_rule = seen.sightings.iter().filter(|one| one.rule == Rule::BotsLeftOut);
    of_rule.filter_map(|one| one.detail.as_deref()).collect()
}

#[test]
fn thousands_that_have_spent_their_limit_hide_nobody_else() {
    let number = |n: usize| u32::try_from(n).unwrap();
    let spent: Vec<_> = (0..number(MAX_SPENT))
        .map(|n| bot(n, BotState::Asleep, "unknown", r#"["spend-over-limit"]"#))
        .collect();
    let last = bot(number(MAX_SPENT) + 7, BotState::CrashLooped, "unknown", "[]");
    let subject = last.user_id.to_string();
    let seen_of = |spent| {
        facts(&FleetFacts {
            bots: std::slice::from_ref(&last),
            spent,
            ..FleetFacts::default()
        })
    };
    let seen = seen_of(&spent);
    assert!(seen.sightings.iter().any(|one| one.rule == Rule::CrashLoop));
    assert!(!seen.is_unknown(Rule::CrashLoop, &subject));
    assert!(seen.is_unknown(Rule::SpendOverLimit, &subject));
    assert_eq!(
        left_out(&seen),
        ["2000 bots or more sleep with most of their limit spent: of those behind them nothing is told"]
    );
    let seen = seen_of(spent.get(1..).unwrap());
    assert!(!seen.is_unknown(Rule::SpendOverLimit, &subject) && left_out(&seen).is_empty());
}

#[test]
fn the_texts_of_who_has_only_spent_are_all_there_are() {
    for text in only_spent() {
        let kinds: Vec<IncidentKind> = serde_json::from_str(&text).unwrap();
        let rules: Vec<_> = kinds.into_iter().filter_map(rule_of).collect();
        assert!(rules.iter().all(|rule| rule.rank() == 3), "{text}");
    }
    let by_rank = |rank| Rule::ALL.into_iter().filter(move |rule| rule.rank() == rank);
    assert_eq!(by_rank(3).count(), 2);
    assert!(
        by_rank(0).any(|rule| rule == Rule::BucketDown) && by_rank(1).any(|rule| rule == Rule::CrashLoop)
    );
}

#[test]
fn the_table_of_rules_fits_together() {
    for rule in Rule::ALL {
        let facts = rule.facts();
        assert_eq!(serde_json::to_value(rule).unwrap(), rule.as_str());
        assert_eq!(Rule::parse(rule.as_str()), Some(rule));
        assert!(
            facts.closes_after_ms >= MINUTE_MS,
            "{rule:?} flaps from tick to tick"
        );
        for cause in facts.explained_by {
            assert!(
                cause.facts().explained_by.is_empty(),
                "{rule:?}: a cause is explained by none"
            );
            assert!(cause.rank() < rule.rank(), "{rule:?}: a cause is judged first");
            assert!(matches!(cause.facts().watches, Watches::Component(_)), "{rule:?}");
            assert!(Rule::causes().any(|name| Rule::of_component(name) == Some(*cause)));
            assert!(cause.facts().opens_after_ms < EXPLAINED_AFTER_MS, "{cause:?}");
            // A start that is slow is given up before that.
            assert!(
                facts.opens_after_ms >= EXPLAINED_AFTER_MS || rule == Rule::StartSlow,
                "{rule:?}: it would be told before its cause is known"
            );
            assert!(
                cause.facts().closes_after_ms > facts.closes_after_ms,
                "{rule:?}: it would be told while it ends with its cause"
            );
        }
    }
}
