//! What holds in whatever order things happen.

use proptest::prelude::*;

use super::diagram::spending;
use super::tests::{QUARTER, RULES, idle, report_event};
use super::*;
use crate::cost::limit::SpendLevel;

/// Stands for whatever run is the current one when the event comes.
const CURRENT: Run = Run(u64::MAX);

fn aimed(event: LifecycleEvent, current: Run, now: u64) -> LifecycleEvent {
    match event {
        LifecycleEvent::Spending(Some(spending)) => LifecycleEvent::Spending(Some(Spending {
            until: now + spending.until,
            ..spending
        })),
        LifecycleEvent::Reported(CURRENT, report) => LifecycleEvent::Reported(current, report),
        LifecycleEvent::SleepAnswered(CURRENT, answer) => LifecycleEvent::SleepAnswered(current, answer),
        LifecycleEvent::StartFailed(CURRENT, reason) => LifecycleEvent::StartFailed(current, reason),
        LifecycleEvent::Exited(CURRENT, reason) => LifecycleEvent::Exited(current, reason),
        other => other,
    }
}

fn any_report() -> impl Strategy<Value = Option<SupervisorReport>> {
    let gateway = prop_oneof![
        1 => Just(GatewayCondition::Restoring),
        1 => Just(GatewayCondition::Starting),
        3 => Just(GatewayCondition::Answering),
        1 => Just(GatewayCondition::Troubled),
        1 => Just(GatewayCondition::GivenUp("x".into())),
    ];
    prop::option::weighted(
        0.8,
        (gateway, 0..2 * QUARTER, 0..3_u64).prop_map(|(gateway, idle_ms, done)| SupervisorReport {
            gateway,
            idle_ms,
            done,
            outlived: Some(0),
            endings: Vec::new(),
        }),
    )
}

fn any_event() -> impl Strategy<Value = (u64, LifecycleEvent)> {
    let run = prop_oneof![4 => Just(CURRENT), 1 => (0u64..6).prop_map(Run)];
    let desired = prop_oneof![
        Just(Desired::Available),
        Just(Desired::Stopped),
        Just(Desired::Suspended)
    ];
    let answer = prop_oneof![
        Just(MaySleep::Yes),
        (0u64..100_000).prop_map(|again_ms| MaySleep::Busy { again_ms }),
        Just(MaySleep::Unknown),
    ];
    let event = prop_oneof![
        6 => Just(LifecycleEvent::Wanted),
        1 => Just(LifecycleEvent::SleepWanted),
        1 => Just(LifecycleEvent::SlotWanted),
        1 => Just(LifecycleEvent::RestartWanted),
        1 => desired.prop_map(|desired| LifecycleEvent::Desired(Authority::Admin, desired)),
        1 => any::<bool>().prop_map(LifecycleEvent::Pinned),
        1 => prop::option::weighted(0.7, (any::<bool>(), 1..4 * SPENT_GRACE_MS)).prop_map(|found| {
            let level = |over| if over { SpendLevel::Over } else { SpendLevel::Near };
            LifecycleEvent::Spending(found.map(|(over, lasts)| spending(level(over), lasts)))
        }),
        4 => (run.clone(), any_report()).prop_map(|(run, report)| LifecycleEvent::Reported(run, report)),
        2 => (run.clone(), answer).prop_map(|(run, answer)| LifecycleEvent::SleepAnswered(run, answer)),
        1 => run.clone().prop_map(|run| LifecycleEvent::StartFailed(run, "x".into())),
        2 => run.clone().prop_map(|run| LifecycleEvent::Exited(run, "x".into())),
        1 => run.prop_map(LifecycleEvent::ShutDown),
        1 => Just(LifecycleEvent::AlarmRang),
        1 => Just(LifecycleEvent::Poll),
        1 => any::<bool>().prop_map(|container_runs| LifecycleEvent::Loaded { container_runs }),
    ];
    (0u64..400_000, event)
}

/// A Sandbox that carries effects out in a world of its own, and fails when one must not be.
struct World {
    life: Lifecycle,
    now: u64,
    alive: bool,
    alarm: Option<u64>,
    /// Questions whose answers are still to come: how it is, and whether it may sleep.
    asked: bool,
    asked_to_sleep: bool,
}

impl World {
    fn step(&mut self, jitter: f64, event: LifecycleEvent) -> Result<(), TestCaseError> {
        let before = self.life.clone();
        let gone = LifecycleEvent::Loaded {
            container_runs: false,
        };
        let ends = [
            LifecycleEvent::Exited(before.run, "x".into()),
            LifecycleEvent::ShutDown(before.run),
            gone,
        ];
        if ends.contains(&event) {
            self.alive = false;
        }
        if event == LifecycleEvent::AlarmRang {
            self.alarm = None;
        }
        match event {
            LifecycleEvent::Reported(run, _) if run == before.run => self.asked = false,
            LifecycleEvent::SleepAnswered(run, _) if run == before.run => self.asked_to_sleep = false,
            _ => {}
        }
        let ordered = event == LifecycleEvent::RestartWanted;
        for effect in self.life.on(&RULES, self.now, jitter, event) {
            match effect {
                LifecycleEffect::Start(run) => {
                    prop_assert!(!self.alive, "two at once: {before:?}");
                    prop_assert_eq!(run, before.run.next());
                    prop_assert_eq!(
                        self.life.desired,
                        Desired::Available,
                        "started although it must not run"
                    );
                    prop_assert_eq!(
                        self.life.spent(self.now),
                        None,
                        "started although its limit is spent"
                    );
                    let rests_until = match before.state {
                        LifecycleState::BackingOff { until, .. }
                        | LifecycleState::CrashLooped {
                            until: Some(until), ..
                        } => until,
                        _ => 0,
                    };
                    prop_assert!(ordered || rests_until <= self.now, "faster than the back-off");
                    self.alive = true;
                }
                LifecycleEffect::Kill => self.alive = false,
                LifecycleEffect::SetAlarm(at) => self.alarm = Some(at),
                LifecycleEffect::ClearAlarm => self.alarm = None,
                LifecycleEffect::Ask(run) => {
                    prop_assert_eq!(run, self.life.run);
                    self.asked = true;
                }
                LifecycleEffect::AskMaySleep(run) => {
                    prop_assert_eq!(run, self.life.run);
                    self.asked_to_sleep = true;
                }
                LifecycleEffect::OrderBackupJobs(run) => {
                    prop_assert_eq!(run, self.life.run);
                    prop_assert!(self.asked, "ordered by what nobody said: {before:?}");
                }
                LifecycleEffect::Watch(run) | LifecycleEffect::RestartGateway(run) => {
                    prop_assert_eq!(run, self.life.run)
                }
                LifecycleEffect::Terminate => {}
            }
        }
        prop_assert!(self.life.run >= before.run);
        prop_assert!(
            self.alive <= self.life.is_awake(),
            "a container nobody accounts for: {:?}",
            self.life
        );
        prop_assert!(
            !self.life.is_awake() || self.alarm.is_some() || self.asked,
            "nothing would lead out of {:?}",
            self.life
        );
        let nobody_asks = self.life.desired == Desired::Available
            && (self.life.pinned || self.life.has_background_work)
            && self.life.spent(self.now).is_none()
            && self.life.failures < SELF_STARTS;
        prop_assert!(
            !nobody_asks
                || !matches!(self.life.state, LifecycleState::BackingOff { .. })
                || self.alarm.is_some(),
            "it would not come back: {:?}",
            self.life
        );
        Ok(())
    }
}

proptest! {
    /// Whatever happens in whatever order: a second container is never started while one may be alive, none
    /// for a bot that must not run, none before the back-off is over; runs only grow; every state with a
    /// container has something that leads out of it; and when nothing more happens, the bot goes to sleep.
    #[test]
    fn no_event_sequence_breaks_an_invariant(events in prop::collection::vec(any_event(), 0..60), jitter in 0.0f64..=1.0) {
        let mut world = World { life: Lifecycle::new(0), now: 0, alive: false, alarm: None, asked: false, asked_to_sleep: false };
        for (pause, event) in events {
            world.now += pause;
            let event = aimed(event, world.life.run, world.now);
            world.step(jitter, event)?;
        }
        world.step(jitter, LifecycleEvent::Pinned(false))?;
        // Two steps for every start it may still make by itself, and those of going to sleep.
        for _ in 0..2 * SELF_STARTS + 12 {
            let run = world.life.run;
            if world.asked {
                world.step(jitter, idle(run, QUARTER))?;
            } else if world.asked_to_sleep {
                world.step(jitter, LifecycleEvent::SleepAnswered(run, MaySleep::Yes))?;
            } else if let Some(at) = world.alarm {
                world.now = world.now.max(at);
                world.step(jitter, LifecycleEvent::AlarmRang)?;
            }
        }
        prop_assert!(!world.life.is_awake(), "never came to rest: {:?}", world.life);
    }

    /// However the containers end and however hard the requests press: starts become as rare as the rest
    /// after a crash loop demands.
    #[test]
    fn concurrent_requests_never_cause_concurrent_starts(
        ends in prop::collection::vec((0u64..STABLE_AFTER_MS, any::<bool>()), 1..60),
        jitter in 0.0f64..=1.0,
    ) {
        let mut life = Lifecycle::new(0);
        let (mut now, mut starts) = (0, Vec::new());
        for (lasting, answers) in ends {
            // Asked every second until it starts.
            while !life.is_awake() {
                if life.on(&RULES, now, jitter, LifecycleEvent::Wanted).contains(&LifecycleEffect::Start(life.run)) {
                    starts.push(now);
                }
                now += 1_000;
            }
            let run = life.run;
            let gateway = if answers { GatewayCondition::Answering } else { GatewayCondition::Starting };
            life.on(&RULES, now, jitter, report_event(run, gateway, 0));
            now += lasting.min(if answers { lasting } else { START_DEADLINE_MS - 1 });
            life.on(&RULES, now, jitter, LifecycleEvent::Exited(run, "x".into()));
        }
        let most = usize::try_from(CRASH_LOOP_AFTER).unwrap();
        for window in starts.windows(most + 1) {
            prop_assert!(window[most] - window[0] >= CRASH_LOOP_REST_MS, "{starts:?}");
        }
    }
}
