//! The steps of a life: what each event means in each state.

use super::{
    ASK_ACTIVITY_AGAIN_MS, ASK_UNHEALTHY_AGAIN_MS, CRASH_LOOP_AFTER, CRASH_LOOP_REST_MS, Desired, Effect,
    Gateway, Life, MaySleep, RESTORE_DEADLINE_MS, Report, Rules, SELF_STARTS, STABLE_AFTER_MS,
    START_DEADLINE_MS, STOP_DEADLINE_MS, State, UNHEALTHY_DEADLINE_MS, deadlines::backoff_ms,
};

impl Life {
    pub(super) fn is_overdue(&self, now: u64) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// When the state is left whatever happens.
    fn deadline(&self) -> Option<u64> {
        match self.state {
            State::Starting { deadline, .. }
            | State::Restoring { deadline }
            | State::Unhealthy { deadline }
            | State::Stopping { deadline, .. } => Some(deadline),
            State::Asleep | State::Running | State::BackingOff { .. } | State::CrashLooped { .. } => None,
        }
    }

    fn enter(&mut self, now: u64, state: State) {
        self.state = state;
        self.since = now;
    }

    /// An event that means nothing now.
    pub(super) fn ignore(&mut self) -> Vec<Effect> {
        self.ignored = self.ignored.saturating_add(1);
        Vec::new()
    }

    fn start(&mut self, now: u64) -> Vec<Effect> {
        self.run = self.run.next();
        self.ready_at = None;
        let deadline = now.saturating_add(START_DEADLINE_MS);
        self.enter(now, State::Starting { deadline, met: false });
        vec![
            Effect::SetAlarm(deadline),
            Effect::Start(self.run),
            Effect::Watch(self.run),
        ]
    }

    pub(super) fn wanted(&mut self, now: u64) -> Vec<Effect> {
        if self.desired != Desired::Available {
            return Vec::new();
        }
        match &mut self.state {
            State::Asleep => self.start(now),
            State::BackingOff { until, .. }
            | State::CrashLooped {
                until: Some(until), ..
            } if *until <= now => self.start(now),
            // Its config may have been mended meanwhile.
            State::CrashLooped { until: None, .. } => vec![Effect::Ask(self.run)],
            State::Stopping { wanted, .. } => {
                *wanted = true;
                Vec::new()
            }
            State::Starting { .. }
            | State::Restoring { .. }
            | State::Running
            | State::Unhealthy { .. }
            | State::BackingOff { .. }
            | State::CrashLooped { until: Some(_), .. } => Vec::new(),
        }
    }

    pub(super) fn sleep_wanted(&mut self, now: u64) -> Vec<Effect> {
        self.works_alone = false;
        if let State::Stopping { wanted, .. } = &mut self.state {
            *wanted = false;
            return Vec::new();
        }
        if !self.is_awake() {
            return Vec::new();
        }
        let deadline = now.saturating_add(STOP_DEADLINE_MS);
        self.enter(
            now,
            State::Stopping {
                deadline,
                wanted: false,
            },
        );
        vec![Effect::SetAlarm(deadline), Effect::Terminate]
    }

    pub(super) fn room_wanted(&mut self) -> Vec<Effect> {
        if self.state == State::Running && !self.pinned {
            vec![Effect::AskMaySleep(self.run)]
        } else {
            self.ignore()
        }
    }

    pub(super) fn restart_wanted(&mut self, now: u64) -> Vec<Effect> {
        if self.desired != Desired::Available {
            return self.ignore();
        }
        self.failures = 0;
        match &mut self.state {
            State::Asleep | State::BackingOff { .. } | State::CrashLooped { until: Some(_), .. } => {
                self.start(now)
            }
            State::Running | State::Unhealthy { .. } | State::CrashLooped { until: None, .. } => {
                vec![Effect::RestartGateway(self.run), Effect::Ask(self.run)]
            }
            State::Stopping { wanted, .. } => {
                *wanted = true;
                Vec::new()
            }
            State::Starting { .. } | State::Restoring { .. } => Vec::new(),
        }
    }

    pub(super) fn desire(&mut self, now: u64, desired: Desired) -> Vec<Effect> {
        self.desired = desired;
        // What failed is of no interest any more; when it may run again it begins afresh.
        if !self.is_awake() && self.state != State::Asleep {
            self.failures = 0;
            self.enter(now, State::Asleep);
        }
        if desired == Desired::Available {
            return Vec::new();
        }
        self.sleep_wanted(now)
    }

    /// Asks a container that is up how it is: what was decided about it shows in what follows.
    pub(super) fn pinned_or_not(&self) -> Vec<Effect> {
        match self.state {
            State::BackingOff { until, .. } if self.returns_by_itself() => vec![Effect::SetAlarm(until)],
            State::Running | State::Unhealthy { .. } | State::CrashLooped { until: None, .. } => {
                vec![Effect::Ask(self.run)]
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn said(&mut self, rules: &Rules, now: u64, report: Option<Report>) -> Vec<Effect> {
        if !self.is_awake() || matches!(self.state, State::Stopping { .. }) {
            return self.ignore();
        }
        let Some(Report { gateway, idle_ms }) = report else {
            return self.look_again(now, ASK_ACTIVITY_AGAIN_MS);
        };
        match gateway {
            Gateway::Answering => {
                if self.state != State::Running {
                    self.ready_at.get_or_insert(now);
                    self.enter(now, State::Running);
                }
                self.while_idle(rules, now, idle_ms)
            }
            Gateway::GivenUp(reason) => {
                if !matches!(self.state, State::CrashLooped { .. }) {
                    self.enter(now, State::CrashLooped { until: None, reason });
                }
                self.while_idle(rules, now, idle_ms)
            }
            Gateway::Restoring => {
                if !matches!(self.state, State::Restoring { .. }) {
                    let deadline = now.saturating_add(RESTORE_DEADLINE_MS);
                    self.enter(now, State::Restoring { deadline });
                }
                self.look_again(now, ASK_UNHEALTHY_AGAIN_MS)
            }
            Gateway::Starting | Gateway::Troubled => self.not_answering(now),
        }
    }

    fn not_answering(&mut self, now: u64) -> Vec<Effect> {
        match &mut self.state {
            State::Starting { met, .. } => {
                *met = true;
                self.look_again(now, ASK_UNHEALTHY_AGAIN_MS)
            }
            State::Restoring { .. } => {
                let deadline = now.saturating_add(START_DEADLINE_MS);
                self.enter(now, State::Starting { deadline, met: true });
                self.look_again(now, ASK_UNHEALTHY_AGAIN_MS)
            }
            State::Unhealthy { deadline } if *deadline <= now => self.replace(now),
            State::Unhealthy { .. } => self.look_again(now, ASK_UNHEALTHY_AGAIN_MS),
            _ => {
                let deadline = now.saturating_add(UNHEALTHY_DEADLINE_MS);
                self.enter(now, State::Unhealthy { deadline });
                self.look_again(now, ASK_UNHEALTHY_AGAIN_MS)
            }
        }
    }

    /// Ends a container whose supervisor could not help; the next request starts another, if it does not return by
    /// itself.
    fn replace(&mut self, now: u64) -> Vec<Effect> {
        self.count_failure(now);
        let (again, works_alone) = (self.returns_by_itself(), self.works_alone);
        let effects = self.sleep_wanted(now);
        self.works_alone = works_alone;
        if let State::Stopping { wanted, .. } = &mut self.state {
            *wanted = again && self.failures < CRASH_LOOP_AFTER;
        }
        effects
    }

    /// Whether this bot is started again without being asked for: nobody may be there to ask, and what it does on
    /// its own would stand still unnoticed.
    fn returns_by_itself(&self) -> bool {
        let works = self.pinned || self.works_alone;
        works && self.desired == Desired::Available && self.failures < SELF_STARTS
    }

    /// Rings in `after` milliseconds, or when the state's time is over.
    fn look_again(&self, now: u64, after: u64) -> Vec<Effect> {
        let at = now.saturating_add(after);
        vec![Effect::SetAlarm(
            self.deadline().map_or(at, |deadline| deadline.min(at)),
        )]
    }

    fn while_idle(&self, rules: &Rules, now: u64, idle_ms: u64) -> Vec<Effect> {
        match rules.sleep_after_ms {
            // The alarm first: should this object be evicted before the answer comes, it asks again.
            Some(limit) if !self.pinned && idle_ms >= limit => {
                let mut effects = self.look_again(now, ASK_ACTIVITY_AGAIN_MS);
                effects.push(Effect::AskMaySleep(self.run));
                effects
            }
            Some(limit) => {
                let left = limit.saturating_sub(idle_ms);
                self.look_again(now, left.max(ASK_ACTIVITY_AGAIN_MS.min(limit)))
            }
            None => vec![Effect::ClearAlarm],
        }
    }

    pub(super) fn sleep_answered(&mut self, now: u64, answer: MaySleep) -> Vec<Effect> {
        match (&self.state, answer) {
            (State::Running | State::CrashLooped { until: None, .. }, MaySleep::Yes) => {
                self.sleep_wanted(now)
            }
            (State::Running | State::CrashLooped { until: None, .. }, MaySleep::Busy { again_ms }) => {
                self.works_alone = true;
                self.look_again(now, again_ms.clamp(ASK_UNHEALTHY_AGAIN_MS, ASK_ACTIVITY_AGAIN_MS))
            }
            (State::Running | State::CrashLooped { until: None, .. }, MaySleep::Unknown) => {
                self.look_again(now, ASK_ACTIVITY_AGAIN_MS)
            }
            _ => self.ignore(),
        }
    }

    pub(super) fn start_failed(&mut self, now: u64, jitter: f64, reason: String) -> Vec<Effect> {
        match self.state {
            State::Starting { .. } => self.back_off(now, jitter, reason),
            _ => self.ignore(),
        }
    }

    pub(super) fn exited(&mut self, now: u64, jitter: f64, reason: String) -> Vec<Effect> {
        match self.state {
            State::Starting { met: false, .. } => self.back_off(now, jitter, reason),
            State::Starting { .. } | State::Restoring { .. } => self.failed(now, jitter, reason),
            State::Running | State::Unhealthy { .. } | State::CrashLooped { until: None, .. } => {
                self.died(now, jitter, reason)
            }
            State::Stopping { wanted: true, .. } => self.start(now),
            State::Stopping { wanted: false, .. } => {
                self.enter(now, State::Asleep);
                vec![Effect::ClearAlarm]
            }
            State::Asleep | State::BackingOff { .. } | State::CrashLooped { until: Some(_), .. } => {
                self.ignore()
            }
        }
    }

    /// A container that had answered is gone. The first time, another may be started at once.
    fn died(&mut self, now: u64, jitter: f64, reason: String) -> Vec<Effect> {
        self.count_failure(now);
        match self.failures {
            0 | 1 if self.returns_by_itself() => self.pause(now, 0, reason),
            0 | 1 => {
                self.enter(now, State::Asleep);
                vec![Effect::ClearAlarm]
            }
            CRASH_LOOP_AFTER.. => self.give_up(now, reason),
            failures => self.pause(now, backoff_ms(failures.saturating_sub(2), jitter), reason),
        }
    }

    /// A start failed for the bot's own reasons.
    fn failed(&mut self, now: u64, jitter: f64, reason: String) -> Vec<Effect> {
        if self.failures.saturating_add(1) < CRASH_LOOP_AFTER {
            return self.back_off(now, jitter, reason);
        }
        self.count_failure(now);
        self.give_up(now, reason)
    }

    /// A start failed, maybe for want of a machine: it is tried again, however often.
    fn back_off(&mut self, now: u64, jitter: f64, reason: String) -> Vec<Effect> {
        let pause = backoff_ms(self.failures, jitter);
        self.count_failure(now);
        self.pause(now, pause, reason)
    }

    fn pause(&mut self, now: u64, pause: u64, reason: String) -> Vec<Effect> {
        let until = now.saturating_add(pause);
        self.enter(now, State::BackingOff { until, reason });
        let alarm = if self.returns_by_itself() {
            Effect::SetAlarm(until)
        } else {
            Effect::ClearAlarm
        };
        vec![alarm, Effect::Kill]
    }

    fn give_up(&mut self, now: u64, reason: String) -> Vec<Effect> {
        let until = Some(now.saturating_add(CRASH_LOOP_REST_MS));
        self.enter(now, State::CrashLooped { until, reason });
        vec![Effect::ClearAlarm, Effect::Kill]
    }

    fn count_failure(&mut self, now: u64) {
        let stable = |ready_at: u64| now.saturating_sub(ready_at) >= STABLE_AFTER_MS;
        let before = if self.ready_at.is_some_and(stable) {
            0
        } else {
            self.failures
        };
        self.failures = before.saturating_add(1);
    }

    pub(super) fn alarm_rang(&mut self, now: u64, jitter: f64) -> Vec<Effect> {
        match self.state {
            State::Starting { deadline, met } if deadline <= now => {
                let seconds = START_DEADLINE_MS / 1_000;
                let reason = format!("the gateway did not answer within {seconds} seconds");
                if met {
                    self.failed(now, jitter, reason)
                } else {
                    self.back_off(now, jitter, reason)
                }
            }
            State::Restoring { deadline } if deadline <= now => {
                let minutes = RESTORE_DEADLINE_MS / 60_000;
                self.failed(
                    now,
                    jitter,
                    format!("the home was not restored within {minutes} minutes"),
                )
            }
            State::Unhealthy { deadline } if deadline <= now => self.replace(now),
            // An object that was not in memory when its container ended hears of the end here at the latest.
            State::Stopping { deadline, wanted } if deadline <= now => {
                self.enter(now, State::Asleep);
                let mut effects = vec![Effect::Kill];
                if wanted {
                    effects.extend(self.start(now));
                }
                effects
            }
            // Rang early or late: the deadline that counts is the stored one.
            State::Starting { deadline, met: false } | State::Stopping { deadline, .. } => {
                vec![Effect::SetAlarm(deadline)]
            }
            // A restore that was ordered while it ran has nobody else who follows it.
            State::Starting { .. }
            | State::Restoring { .. }
            | State::Running
            | State::Unhealthy { .. }
            | State::CrashLooped { until: None, .. } => {
                vec![Effect::Ask(self.run)]
            }
            State::BackingOff { until, .. } if self.returns_by_itself() => {
                if until <= now {
                    self.start(now)
                } else {
                    vec![Effect::SetAlarm(until)]
                }
            }
            State::Asleep | State::BackingOff { .. } | State::CrashLooped { until: Some(_), .. } => {
                Vec::new()
            }
        }
    }

    pub(super) fn loaded(&mut self, now: u64, jitter: f64, container_runs: bool) -> Vec<Effect> {
        match (self.is_awake(), container_runs) {
            (false, false) => Vec::new(),
            // A container nobody asked for: a kill that was cut short by the eviction.
            (false, true) => vec![Effect::Kill],
            (true, true) => vec![Effect::Watch(self.run)],
            (true, false) => self.exited(
                now,
                jitter,
                "the container was gone when its Sandbox came back".into(),
            ),
        }
    }
}
