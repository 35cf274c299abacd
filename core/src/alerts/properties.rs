//! Whatever the facts are, from minute to minute: what is told is told once, in order, and arrives.

use std::collections::HashMap;

use proptest::prelude::*;

use super::delivery::DeliveryOutcome;
use super::evaluate::Policy;
use super::facts::Facts;
use super::incident::{ESCALATES_AFTER_MS, NoticeKind};
use super::policy::AlertSettings;
use super::rules::{MINUTE_MS, Rule};
use super::tests::{BOT, Stored, sighting};

/// What can be wrong: two causes, what they explain, and what nothing explains.
const WRONG: [(Rule, &str); 7] = [
    (Rule::BucketDown, "bucket"),
    (Rule::ContainersRefused, "container-platform"),
    (Rule::RestoreFailing, BOT),
    (Rule::BackupFailing, BOT),
    (Rule::BotUnhealthy, BOT),
    (Rule::CrashLoop, "de000000-0000-4000-8000-000000000002"),
    (Rule::PassedOver, BOT),
];
/// After so many minutes without anything wrong, all is over: the longest a cause must be gone, and one tick each for what
/// depends on another.
const SETTLES: u64 = 8;

/// For how long which of them are wrong, or unknown.
fn weather() -> impl Strategy<Value = Vec<(u64, Vec<bool>, bool)>> {
    let spell = (
        1_u64..25,
        prop::collection::vec(any::<bool>(), WRONG.len()),
        prop::bool::weighted(0.1),
    );
    prop::collection::vec(spell, 1..30)
}

fn facts(wrong: &[bool], unknown: bool) -> Facts {
    let seen = WRONG.iter().zip(wrong).filter(|(_, wrong)| **wrong);
    Facts {
        sightings: seen
            .map(|((rule, subject), _)| sighting(*rule, subject))
            .collect(),
        unknown: if unknown { vec![Rule::BucketDown] } else { vec![] },
        ..Facts::default()
    }
}

proptest! {
    #[test]
    fn each_incident_is_told_once_and_its_end_once(weather in weather()) {
        let settings = AlertSettings::default();
        let policy = Policy { settings: &settings, mutes: &[] };
        let mut stored = Stored::default();
        let mut minute = 0;
        let calm = (SETTLES, vec![false; WRONG.len()], false);
        for (lasts, wrong, unknown) in weather.into_iter().chain([calm]) {
            for _ in 0..lasts {
                minute += 1;
                stored.tick(minute * MINUTE_MS, &facts(&wrong, unknown), policy);
                for (rule, subject) in WRONG {
                    let open = stored.incidents.iter().filter(|one| {
                        one.rule == rule && one.subject == subject && one.closed_at.is_none()
                    });
                    prop_assert!(open.count() <= 1, "two of {rule:?} at once");
                }
            }
        }
        // Every incident is over when its cause is.
        prop_assert!(stored.incidents.iter().all(|one| one.settled == 1), "{:?}", stored.incidents);

        let mut told: HashMap<String, Vec<(u64, NoticeKind)>> = HashMap::new();
        for (at, kind, _, _, id) in &stored.told {
            told.entry(id.clone()).or_default().push((*at, *kind));
        }
        for incident in &stored.incidents {
            let kinds: Vec<NoticeKind> = told.get(&incident.id).into_iter().flatten().map(|(_, kind)| *kind).collect();
            let expected: &[NoticeKind] = match (incident.told_at, incident.escalated_at) {
                (None, _) => &[],
                (Some(_), None) => &[NoticeKind::Opened, NoticeKind::Recovered],
                (Some(_), Some(_)) => &[NoticeKind::Opened, NoticeKind::Escalated, NoticeKind::Recovered],
            };
            prop_assert_eq!(kinds.as_slice(), expected);
            let (opened, closed) = (incident.opened_at.unwrap(), incident.closed_at.unwrap());
            prop_assert!(opened - incident.first_seen_at >= settings.opens_after_ms(incident.rule));
            prop_assert!(closed - incident.gone_since.unwrap() >= settings.closes_after_ms(incident.rule));
            prop_assert!(incident.told_at.is_some() || incident.parent.is_some(), "nobody was told, and nothing explains it");
            if let Some(at) = incident.escalated_at {
                prop_assert!(at - opened >= ESCALATES_AFTER_MS);
            }
        }
        // No flapping: one of a kind begins no sooner than the one before is over and its own has held.
        for (rule, subject) in WRONG {
            let mut last = None;
            for one in stored.incidents.iter().filter(|one| one.rule == rule && one.subject == subject) {
                if let Some(closed) = last {
                    prop_assert!(one.opened_at.unwrap() >= closed + settings.opens_after_ms(rule));
                }
                last = one.closed_at;
            }
        }
    }

    #[test]
    fn no_message_is_lost_while_a_sink_is_down(
        messages in prop::collection::vec(0_u64..180, 1..40),
        from in 0_u64..120,
        lasts in 0_u64..=60,
        retry_after in prop::option::of(0_u64..7_200),
    ) {
        let retry_after = retry_after.map(|seconds| seconds.to_string());
        let mut waiting: Vec<(u64, u64, u32)> = messages.iter().map(|at| (*at, at * MINUTE_MS, 0)).collect();
        let mut arrived = 0;
        for minute in 0..500 {
            let now = minute * MINUTE_MS;
            waiting.retain_mut(|(created, next, tries)| {
                if *next > now {
                    return true;
                }
                *tries += 1;
                let down = (from..from + lasts).contains(&minute);
                let tried = DeliveryOutcome::answered(if down { 503 } else { 200 }, retry_after.as_deref());
                if tried == DeliveryOutcome::Delivered {
                    arrived += 1;
                    return false;
                }
                *next = tried.next_at(*created * MINUTE_MS, *tries, now).unwrap();
                true
            });
        }
        prop_assert_eq!((waiting.len(), arrived), (0, messages.len()));
    }
}
