//! What holds in any order of events. A small world carries the effects out, badly if it likes.

use super::*;
use proptest::prelude::*;

/// What the world does next.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Time passes; the alarm rings if something was due, this much late.
    Wait {
        millis: u64,
    },
    /// The process starts up, or one before it says so too late.
    Started {
        late: bool,
    },
    Listening,
    /// The process ends by itself, or news of an earlier end arrive.
    Ends {
        late: bool,
        reason: EndReason,
    },
    Probed {
        late: bool,
        well: bool,
    },
    Stop(Option<u64>),
    Restart,
    ConfigChanged,
    /// The clock rings early.
    Rings,
    /// The restore or the snapshot under way ends; without one it is news of an earlier one.
    JobEnds {
        well: bool,
        intact: bool,
    },
    RestoreTo,
    /// What a gateway left is ended at last, or news of that come late.
    Cleared {
        late: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let reason = prop::sample::select(EndReason::ALL.to_vec());
    let step = prop_oneof![
        8 => (0_u64..200_000).prop_map(|millis| Step::Wait { millis }),
        4 => any::<bool>().prop_map(|late| Step::Started { late }),
        1 => Just(Step::Listening),
        6 => (prop::bool::weighted(0.2), reason).prop_map(|(late, reason)| Step::Ends { late, reason }),
        4 => any::<(bool, bool)>().prop_map(|(late, well)| Step::Probed { late, well }),
        1 => prop::option::of(0_u64..60_000).prop_map(Step::Stop),
        1 => Just(Step::Restart),
        2 => Just(Step::ConfigChanged),
        1 => Just(Step::Rings),
        5 => any::<(bool, bool)>().prop_map(|(well, intact)| Step::JobEnds { well, intact }),
        1 => Just(Step::RestoreTo),
        6 => prop::bool::weighted(0.2).prop_map(|late| Step::Cleared { late }),
    ];
    prop::collection::vec(step, 0..120)
}

struct World {
    life: GatewayLifecycle,
    now: Duration,
    chance: f64,
    /// Whether each process can be started, in turn.
    starts: Vec<bool>,
    /// The process that lives.
    process: Option<Launch>,
    last_launch: Launch,
    /// Not before this may the next process be started, unless somebody asks.
    earliest: Duration,
    /// Whether somebody has asked since the last end.
    asked: bool,
    left: bool,
    /// What an ended process left running: nothing may begin beside it.
    leftovers: Option<Launch>,
    /// When it ought to be gone.
    cleared_by: Duration,
    /// What is being done with the repository.
    job: Option<GatewayEffect>,
    /// Whether the home is what the repository says; `None` without one.
    confirmed: Option<bool>,
    /// Whether there is a whole home, confirmed once in this run.
    whole: bool,
    /// Whether a process has written to the home since the last snapshot, and since when it is to be saved.
    unsaved: bool,
    saving_since: Option<Duration>,
}

impl World {
    fn begin(chance: f64, starts: Vec<bool>, kept: bool) -> Self {
        let point = kept.then_some(RestorePoint::Latest);
        let (life, first) = GatewayLifecycle::begin(Duration::ZERO, GatewayRules::default(), point);
        let mut world = Self {
            life,
            now: Duration::ZERO,
            chance,
            starts,
            process: None,
            last_launch: Launch(0),
            earliest: Duration::ZERO,
            asked: false,
            left: false,
            leftovers: None,
            cleared_by: Duration::ZERO,
            job: None,
            confirmed: kept.then_some(false),
            whole: false,
            unsaved: false,
            saving_since: None,
        };
        world.carry_out(Some(first));
        world
    }

    fn tell(&mut self, event: GatewayEvent) {
        let given_up = self.life.view().phase == GatewayPhase::CrashLooped;
        self.asked |= event == GatewayEvent::Restart || (event == GatewayEvent::ConfigChanged && given_up);
        let effect = self.life.on(self.now, self.chance, event);
        assert!(!self.left || effect.is_none(), "{effect:?} after leaving");
        self.carry_out(effect);
        assert_eq!(
            self.life.deadline().is_none(),
            self.left,
            "a state that nothing leaves"
        );
    }

    fn carry_out(&mut self, effect: Option<GatewayEffect>) {
        match effect {
            Some(GatewayEffect::Clear(launch)) => {
                assert_eq!(self.process, None, "cleared below a running process");
                assert_eq!(self.leftovers, Some(launch), "nothing to clear");
            }
            Some(GatewayEffect::Spawn(launch)) => {
                assert_eq!(self.leftovers, None, "started beside what is left of another");
                assert_eq!(self.process, None, "two processes at once");
                assert_eq!(self.job, None, "started while the home is being worked on");
                assert_ne!(
                    self.confirmed,
                    Some(false),
                    "started on a home that is not confirmed"
                );
                self.unsaved = self.confirmed.is_some();
                assert!(launch > self.last_launch, "the number of another process");
                assert!(
                    self.asked || self.now >= self.earliest,
                    "started {:?} too early",
                    self.earliest - self.now
                );
                self.last_launch = launch;
                self.asked = false;
                let turn = launch.0 as usize % self.starts.len().max(1);
                if self.starts.get(turn).copied().unwrap_or(true) {
                    self.process = Some(launch);
                    self.tell(GatewayEvent::Spawned(launch, launch.0));
                } else {
                    self.not_before(EndReason::NotSpawned);
                    self.leaves(launch);
                    self.tell(GatewayEvent::NotSpawned(
                        launch,
                        EndReason::NotSpawned,
                        String::new(),
                    ));
                }
            }
            Some(GatewayEffect::Kill) => self.ends(EndReason::Crash),
            Some(effect @ GatewayEffect::Restore) => {
                assert_eq!(self.process, None, "restored below a running process");
                assert_eq!(self.leftovers, None, "restored below what is left of one");
                assert!(self.job.is_none(), "two jobs at once");
                assert!(!self.unsaved, "replaced what was not saved");
                self.confirmed = Some(false);
                self.job = Some(effect);
            }
            Some(effect @ GatewayEffect::Save(_)) => {
                assert_eq!(self.process, None, "the last snapshot of a running process");
                assert!(
                    self.leftovers.is_none() || self.now >= self.cleared_by,
                    "the last snapshot beside what is left of one"
                );
                assert!(self.job.is_none(), "two jobs at once");
                assert_eq!(
                    self.confirmed,
                    Some(true),
                    "saved from a home that is not confirmed"
                );
                self.saving_since.get_or_insert(self.now);
                self.job = Some(effect);
            }
            Some(GatewayEffect::BreakOff) => self.job_ends(false, true),
            Some(GatewayEffect::Leave) => {
                assert_eq!(self.process, None, "left a process behind");
                assert!(
                    self.leftovers.is_none() || self.now >= self.cleared_by,
                    "left before its leftovers had their time"
                );
                let tried = self.saving_since.map_or(Duration::ZERO, |since| self.now - since);
                assert!(
                    !self.unsaved || tried >= GatewayRules::default().save_deadline,
                    "left without the last snapshot after {tried:?}"
                );
                self.left = true;
                assert_eq!(self.life.deadline(), None);
            }
            // Whether and when these have an answer is for the steps to say.
            Some(GatewayEffect::Probe(_) | GatewayEffect::Terminate(_) | GatewayEffect::LookAtConfig)
            | None => {}
        }
    }

    fn job_ends(&mut self, well: bool, intact: bool) {
        let event = match self.job.take() {
            Some(GatewayEffect::Save(_)) => {
                self.unsaved &= !well;
                if well {
                    self.saving_since = None;
                }
                GatewayEvent::Saved(well)
            }
            Some(_) if well => {
                self.whole = true;
                self.confirmed = Some(true);
                GatewayEvent::Restored
            }
            Some(_) => {
                self.whole &= intact;
                self.confirmed = Some(self.whole);
                GatewayEvent::NotRestored { intact }
            }
            None => return self.stale_end(well, intact),
        };
        // What waited for it goes on at once.
        self.asked = true;
        self.tell(event);
    }

    /// An end that nobody waits for means nothing, and lets nothing begin sooner.
    fn stale_end(&mut self, well: bool, intact: bool) {
        let mut expected = self.life.view().clone();
        expected.ignored += 1;
        let due = self.life.deadline();
        self.tell(match (well, intact) {
            (true, true) => GatewayEvent::Restored,
            (true, false) => GatewayEvent::NotRestored { intact },
            (false, _) => GatewayEvent::Saved(intact),
        });
        assert_eq!((self.life.view(), self.life.deadline()), (&expected, due));
    }

    fn leaves(&mut self, launch: Launch) {
        self.leftovers = Some(launch);
        self.cleared_by = self.now + CLEAR_DEADLINE;
    }

    fn cleared(&mut self) {
        if let Some(launch) = self.leftovers.take() {
            self.tell(GatewayEvent::Cleared(launch, 1));
        }
    }

    /// After a failure there is a pause, and each is at least half of the first.
    fn not_before(&mut self, reason: EndReason) {
        let phase = self.life.view().phase;
        let was_ready = self.life.view().ready_since.is_some();
        let wanted = reason == EndReason::CleanExit && was_ready;
        let told = reason == EndReason::RestartAsked;
        self.asked = phase == GatewayPhase::Restarting && self.asked || told;
        self.earliest = self.now + if wanted { Duration::ZERO } else { FIRST_PAUSE / 2 };
    }

    fn ends(&mut self, reason: EndReason) {
        if let Some(launch) = self.process.take() {
            self.not_before(reason);
            self.leaves(launch);
            let exit = ExitReason::Signal(9);
            self.tell(GatewayEvent::Ended(launch, exit, reason, None));
        }
    }

    fn launch(&self, late: bool) -> Launch {
        let current = self.life.view().launch;
        if late {
            Launch(current.0.saturating_sub(1))
        } else {
            current
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Wait { millis } => {
                self.now += Duration::from_millis(millis);
                if self.life.deadline().is_some_and(|due| due <= self.now) {
                    self.tell(GatewayEvent::Deadline);
                }
            }
            Step::Started { late } => self.tell(GatewayEvent::Started(self.launch(late))),
            Step::Listening => self.tell(GatewayEvent::Listening(self.launch(false))),
            Step::Ends { late: false, reason } => self.ends(reason),
            Step::Ends { late: true, reason } => {
                self.tell(GatewayEvent::Ended(
                    self.launch(true),
                    ExitReason::Code(1),
                    reason,
                    None,
                ));
            }
            Step::Probed { late, well } => self.tell(GatewayEvent::Probed(self.launch(late), well)),
            Step::Stop(grace) => self.tell(GatewayEvent::Stop(grace.map(Duration::from_millis))),
            Step::Restart => self.tell(GatewayEvent::Restart),
            Step::ConfigChanged => self.tell(GatewayEvent::ConfigChanged),
            Step::Rings => self.tell(GatewayEvent::Deadline),
            Step::JobEnds { well, intact } => self.job_ends(well, intact),
            Step::RestoreTo => self.tell(GatewayEvent::RestoreTo(RestorePoint::Latest)),
            Step::Cleared { late: false } => self.cleared(),
            Step::Cleared { late: true } => self.tell(GatewayEvent::Cleared(self.launch(true), 1)),
        }
    }

    /// Nothing happens any more but the machine's own deadlines. Says how many processes it took.
    fn comes_to_rest(&mut self, well: bool, hangs: bool) -> u32 {
        let before = self.last_launch.0;
        for _ in 0..200 {
            let Some(due) = self.life.deadline() else {
                return self.last_launch.0 - before;
            };
            let phase = self.life.view().phase;
            if self.leftovers.is_some() && !hangs {
                self.cleared();
            } else if self.job.is_some() && !hangs {
                self.job_ends(well, false);
            } else {
                self.now = self.now.max(due);
                self.tell(GatewayEvent::Deadline);
            }
            let launch = self.life.view().launch;
            match self.life.view().phase {
                GatewayPhase::CrashLooped if phase == GatewayPhase::CrashLooped => {
                    return self.last_launch.0 - before;
                }
                // Tried again for ever: without its home no bot begins.
                GatewayPhase::Restoring if phase == GatewayPhase::Restoring && !well => {
                    return self.last_launch.0 - before;
                }
                GatewayPhase::Starting if well && self.process.is_some() => {
                    self.tell(GatewayEvent::Started(launch))
                }
                GatewayPhase::Ready | GatewayPhase::Suspect => self.tell(GatewayEvent::Probed(launch, well)),
                _ => {}
            }
            if well && self.life.view().phase == GatewayPhase::Ready && phase == GatewayPhase::Ready {
                return self.last_launch.0 - before;
            }
        }
        panic!("does not come to rest: {:?}", self.life);
    }
}

proptest! {
    #[test]
    fn no_event_sequence_breaks_an_invariant(steps in steps(), chance in 0.0..1.0, starts in prop::collection::vec(any::<bool>(), 0..5), kept in any::<bool>()) {
        let mut world = World::begin(chance, starts, kept);
        for step in steps {
            world.step(step);
        }
    }

    #[test]
    fn the_lifecycle_settles_when_events_stop(steps in steps(), chance in 0.0..1.0, well in any::<bool>(), kept in any::<bool>()) {
        let mut world = World::begin(chance, vec![], kept);
        for step in steps {
            world.step(step);
        }
        // In a world where nothing works it gives up after as many processes as the breaker allows, and one
        // that was under way.
        let spawned = world.comes_to_rest(well, false);
        prop_assert!(spawned <= 6, "{spawned} processes");
        prop_assert!(world.left || !well || world.life.view().phase != GatewayPhase::Restarting);
    }

    #[test]
    fn a_stop_completes_within_its_deadline(steps in steps(), chance in 0.0..1.0, kept in any::<bool>(), hangs in any::<bool>()) {
        let mut world = World::begin(chance, vec![], kept);
        for step in steps {
            world.step(step);
        }
        let told = world.now;
        world.tell(GatewayEvent::Stop(None));
        world.comes_to_rest(false, hangs);
        prop_assert!(world.left);
        let rules = GatewayRules::default();
        prop_assert!(world.now - told <= rules.stop_grace + KILL_AGAIN + CLEAR_DEADLINE + rules.save_deadline);
    }
}
