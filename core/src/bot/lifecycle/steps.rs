//! The steps of a life: what each event means in each state.

use super::{
    ASK_ACTIVITY_AGAIN_MS, ASK_UNHEALTHY_AGAIN_MS, CRASH_LOOP_AFTER, Desired, GatewayCondition, Lifecycle,
    LifecycleEffect, LifecycleRules, LifecycleState, MaySleep, PROBE_AGAIN_MS, RESTORE_DEADLINE_MS,
    RESTORE_NOTED_MS, SELF_STARTS, START_DEADLINE_MS, STOP_DEADLINE_MS, SupervisorReport,
    UNHEALTHY_DEADLINE_MS,
};

impl Lifecycle {
    pub(super) fn is_overdue(&self, now: u64) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// When the state is left whatever happens.
    fn deadline(&self) -> Option<u64> {
        match self.state {
            LifecycleState::Starting { deadline, .. }
            | LifecycleState::Restoring { deadline, .. }
            | LifecycleState::Unhealthy { deadline }
            | LifecycleState::Stopping { deadline, .. } => Some(deadline),
            LifecycleState::Asleep
            | LifecycleState::Running
            | LifecycleState::BackingOff { .. }
            | LifecycleState::CrashLooped { .. } => None,
        }
    }

    pub(super) fn enter(&mut self, now: u64, state: LifecycleState) {
        self.state = state;
        // Never back, whatever the clock of the machine says that the object has moved to: the registry takes what is newer.
        self.since = self.since.max(now);
    }

    /// An event that means nothing now.
    pub(super) fn ignore(&mut self) -> Vec<LifecycleEffect> {
        self.ignored = self.ignored.saturating_add(1);
        Vec::new()
    }

    pub(super) fn start(&mut self, now: u64) -> Vec<LifecycleEffect> {
        self.run = self.run.next();
        self.ready_at = None;
        self.outlived = Some(0);
        self.ended_at = 0;
        let deadline = now.saturating_add(START_DEADLINE_MS);
        self.enter(now, LifecycleState::Starting { deadline, met: false });
        vec![
            LifecycleEffect::SetAlarm(deadline),
            LifecycleEffect::Start(self.run),
            LifecycleEffect::Watch(self.run),
        ]
    }

    pub(super) fn wanted(&mut self, now: u64) -> Vec<LifecycleEffect> {
        if self.desired != Desired::Available || self.has_spent() {
            return Vec::new();
        }
        match &mut self.state {
            LifecycleState::Asleep => self.start(now),
            LifecycleState::BackingOff { until, .. }
            | LifecycleState::CrashLooped {
                until: Some(until), ..
            } if *until <= now => self.start(now),
            // Its config may have been mended meanwhile.
            LifecycleState::CrashLooped { until: None, .. } => vec![LifecycleEffect::Ask(self.run)],
            LifecycleState::Stopping { wanted, .. } => {
                *wanted = true;
                Vec::new()
            }
            LifecycleState::Starting { .. }
            | LifecycleState::Restoring { .. }
            | LifecycleState::Running
            | LifecycleState::Unhealthy { .. }
            | LifecycleState::BackingOff { .. }
            | LifecycleState::CrashLooped { until: Some(_), .. } => Vec::new(),
        }
    }

    pub(super) fn sleep_wanted(&mut self, now: u64) -> Vec<LifecycleEffect> {
        self.has_background_work = false;
        if let LifecycleState::Stopping { wanted, .. } = &mut self.state {
            *wanted = false;
            return Vec::new();
        }
        // A pinned one would come back by itself.
        if matches!(self.state, LifecycleState::BackingOff { .. }) && self.restarts_automatically() {
            self.enter(now, LifecycleState::Asleep);
            return vec![LifecycleEffect::ClearAlarm];
        }
        if !self.is_awake() {
            return Vec::new();
        }
        let deadline = now.saturating_add(STOP_DEADLINE_MS);
        self.enter(
            now,
            LifecycleState::Stopping {
                deadline,
                wanted: false,
            },
        );
        vec![LifecycleEffect::SetAlarm(deadline), LifecycleEffect::Terminate]
    }

    pub(super) fn slot_wanted(&mut self) -> Vec<LifecycleEffect> {
        if self.state == LifecycleState::Running && !self.pinned {
            vec![LifecycleEffect::AskMaySleep(self.run)]
        } else {
            self.ignore()
        }
    }

    pub(super) fn restart_wanted(&mut self, now: u64) -> Vec<LifecycleEffect> {
        if self.desired != Desired::Available || self.has_spent() {
            return self.ignore();
        }
        self.failures = 0;
        self.forget_memory_ends(now);
        match &mut self.state {
            LifecycleState::Asleep
            | LifecycleState::BackingOff { .. }
            | LifecycleState::CrashLooped { until: Some(_), .. } => self.start(now),
            LifecycleState::Running
            | LifecycleState::Unhealthy { .. }
            | LifecycleState::CrashLooped { until: None, .. } => {
                vec![
                    LifecycleEffect::RestartGateway(self.run),
                    LifecycleEffect::Ask(self.run),
                ]
            }
            LifecycleState::Stopping { wanted, .. } => {
                *wanted = true;
                Vec::new()
            }
            LifecycleState::Starting { .. } | LifecycleState::Restoring { .. } => Vec::new(),
        }
    }

    pub(super) fn set_desired(&mut self, now: u64, desired: Desired) -> Vec<LifecycleEffect> {
        self.desired = desired;
        // What failed is of no interest any more; when it may run again it begins afresh.
        if !self.is_awake() && self.state != LifecycleState::Asleep {
            self.failures = 0;
            self.enter(now, LifecycleState::Asleep);
        }
        if desired == Desired::Available {
            return Vec::new();
        }
        self.sleep_wanted(now)
    }

    /// Asks a container that is up how it is: what was decided about it shows in what follows.
    pub(super) fn apply_pinned(&self) -> Vec<LifecycleEffect> {
        match self.state {
            LifecycleState::BackingOff { until, .. } if self.restarts_automatically() => {
                vec![LifecycleEffect::SetAlarm(until)]
            }
            LifecycleState::Running
            | LifecycleState::Unhealthy { .. }
            | LifecycleState::CrashLooped { until: None, .. } => {
                vec![LifecycleEffect::Ask(self.run)]
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn reported(
        &mut self,
        rules: &LifecycleRules,
        now: u64,
        report: Option<SupervisorReport>,
    ) -> Vec<LifecycleEffect> {
        if !self.is_awake() || matches!(self.state, LifecycleState::Stopping { .. }) {
            return self.ignore();
        }
        let Some(SupervisorReport {
            gateway,
            idle_ms,
            done,
            outlived,
            endings,
        }) = report
        else {
            return self.look_again(now, ASK_ACTIVITY_AGAIN_MS);
        };
        self.outlived = outlived.or(self.outlived);
        self.count_memory_ends(now, &endings);
        let last_end = endings.iter().map(|(at, _)| *at).max();
        self.ended_at = self.ended_at.max(last_end.unwrap_or_default());
        match gateway {
            GatewayCondition::Answering => {
                if self.state != LifecycleState::Running {
                    self.ready_at.get_or_insert(now);
                    self.enter(now, LifecycleState::Running);
                }
                self.while_idle(rules, now, idle_ms)
            }
            GatewayCondition::GivenUp(reason) => {
                if !matches!(self.state, LifecycleState::CrashLooped { .. }) {
                    self.enter(now, LifecycleState::CrashLooped { until: None, reason });
                }
                self.while_idle(rules, now, idle_ms)
            }
            GatewayCondition::Restoring => {
                let later = now.saturating_add(RESTORE_DEADLINE_MS);
                match &mut self.state {
                    LifecycleState::Restoring {
                        deadline,
                        done: before,
                    } => {
                        // Each attempt begins at nothing: only what none before it had done gets it on.
                        if done > *before && later.saturating_sub(*deadline) >= RESTORE_NOTED_MS {
                            (*deadline, *before) = (later, done);
                        }
                    }
                    _ => self.enter(
                        now,
                        LifecycleState::Restoring {
                            deadline: later,
                            done,
                        },
                    ),
                }
                self.look_again(now, ASK_UNHEALTHY_AGAIN_MS)
            }
            GatewayCondition::Starting | GatewayCondition::Troubled => self.supervisor_unreachable(now),
        }
    }

    fn supervisor_unreachable(&mut self, now: u64) -> Vec<LifecycleEffect> {
        match &mut self.state {
            LifecycleState::Starting { met, .. } => {
                *met = true;
                self.look_again(now, ASK_UNHEALTHY_AGAIN_MS)
            }
            LifecycleState::Restoring { .. } => {
                let deadline = now.saturating_add(START_DEADLINE_MS);
                self.enter(now, LifecycleState::Starting { deadline, met: true });
                self.look_again(now, ASK_UNHEALTHY_AGAIN_MS)
            }
            LifecycleState::Unhealthy { deadline } if *deadline <= now => self.replace(now),
            LifecycleState::Unhealthy { .. } => self.look_again(now, ASK_UNHEALTHY_AGAIN_MS),
            _ => {
                let deadline = now.saturating_add(UNHEALTHY_DEADLINE_MS);
                self.enter(now, LifecycleState::Unhealthy { deadline });
                self.look_again(now, ASK_UNHEALTHY_AGAIN_MS)
            }
        }
    }

    /// Ends a container whose supervisor could not help; the next request starts another, if it does not return by
    /// itself.
    fn replace(&mut self, now: u64) -> Vec<LifecycleEffect> {
        self.count_failure(now);
        let (again, has_background_work) = (self.restarts_automatically(), self.has_background_work);
        let effects = self.sleep_wanted(now);
        self.has_background_work = has_background_work;
        if let LifecycleState::Stopping { wanted, .. } = &mut self.state {
            *wanted = again && self.failures < CRASH_LOOP_AFTER;
        }
        effects
    }

    /// Whether this bot is started again without being asked for: nobody may be there to ask, and what it does on
    /// its own would stand still unnoticed.
    pub(super) fn restarts_automatically(&self) -> bool {
        let works = self.pinned || self.has_background_work;
        let may_run = self.desired == Desired::Available && !self.has_spent();
        works && may_run && self.failures < SELF_STARTS
    }

    /// Rings in `after` milliseconds, or when the state's time is over.
    pub(super) fn look_again(&self, now: u64, after: u64) -> Vec<LifecycleEffect> {
        let at = now.saturating_add(after);
        vec![LifecycleEffect::SetAlarm(
            self.deadline().map_or(at, |deadline| deadline.min(at)),
        )]
    }

    fn while_idle(&mut self, rules: &LifecycleRules, now: u64, idle_ms: u64) -> Vec<LifecycleEffect> {
        if self.has_spent() {
            return self.end_spent(now);
        }
        match rules.sleep_after_ms {
            // The alarm first: should this object be evicted before the answer comes, it asks again.
            Some(limit) if !self.pinned && idle_ms >= limit => {
                let mut effects = self.look_again(now, ASK_ACTIVITY_AGAIN_MS);
                effects.push(LifecycleEffect::AskMaySleep(self.run));
                effects
            }
            // The end of a short limit is met exactly, but never in a hurry.
            Some(limit) => self.look_again(now, PROBE_AGAIN_MS.min(limit)),
            None => self.look_again(now, PROBE_AGAIN_MS),
        }
    }

    pub(super) fn sleep_answered(&mut self, now: u64, answer: MaySleep) -> Vec<LifecycleEffect> {
        match (&self.state, answer) {
            (LifecycleState::Running | LifecycleState::CrashLooped { until: None, .. }, MaySleep::Yes) => {
                self.sleep_wanted(now)
            }
            (
                LifecycleState::Running | LifecycleState::CrashLooped { until: None, .. },
                MaySleep::Busy { again_ms },
            ) => {
                self.has_background_work = true;
                self.look_again(now, again_ms.clamp(ASK_UNHEALTHY_AGAIN_MS, ASK_ACTIVITY_AGAIN_MS))
            }
            (
                LifecycleState::Running | LifecycleState::CrashLooped { until: None, .. },
                MaySleep::Unknown,
            ) => self.look_again(now, ASK_ACTIVITY_AGAIN_MS),
            _ => self.ignore(),
        }
    }

    pub(super) fn alarm_rang(&mut self, now: u64, jitter: f64) -> Vec<LifecycleEffect> {
        if self.is_spent_for_long(now) {
            return self.sleep_wanted(now);
        }
        match self.state {
            LifecycleState::Starting { deadline, met } if deadline <= now => {
                let seconds = START_DEADLINE_MS / 1_000;
                let reason = format!("the gateway did not answer within {seconds} seconds");
                if met {
                    self.failed(now, jitter, reason)
                } else {
                    self.back_off(now, jitter, reason)
                }
            }
            LifecycleState::Restoring { deadline, .. } if deadline <= now => {
                let minutes = RESTORE_DEADLINE_MS / 60_000;
                self.failed(
                    now,
                    jitter,
                    format!("the restore of the home made no progress for {minutes} minutes"),
                )
            }
            LifecycleState::Unhealthy { deadline } if deadline <= now => self.replace(now),
            // An object that was not in memory when its container ended hears of the end here at the latest.
            LifecycleState::Stopping { deadline, wanted } if deadline <= now => {
                self.enter(now, LifecycleState::Asleep);
                let mut effects = vec![LifecycleEffect::Kill];
                if wanted {
                    effects.extend(self.start(now));
                }
                effects
            }
            // Rang early or late: the deadline that counts is the stored one.
            LifecycleState::Starting { deadline, met: false } | LifecycleState::Stopping { deadline, .. } => {
                vec![LifecycleEffect::SetAlarm(deadline)]
            }
            // A restore that was ordered while it ran has nobody else who follows it.
            LifecycleState::Starting { .. }
            | LifecycleState::Restoring { .. }
            | LifecycleState::Running
            | LifecycleState::Unhealthy { .. }
            | LifecycleState::CrashLooped { until: None, .. } => {
                vec![
                    LifecycleEffect::Ask(self.run),
                    LifecycleEffect::OrderBackupJobs(self.run),
                ]
            }
            LifecycleState::BackingOff { until, .. } if self.restarts_automatically() => {
                if until <= now {
                    self.start(now)
                } else {
                    vec![LifecycleEffect::SetAlarm(until)]
                }
            }
            LifecycleState::Asleep
            | LifecycleState::BackingOff { .. }
            | LifecycleState::CrashLooped { until: Some(_), .. } => {
                let lapse = self.lapse_alarm().map(LifecycleEffect::SetAlarm);
                lapse.into_iter().collect()
            }
        }
    }

    pub(super) fn loaded(&mut self, now: u64, jitter: f64, container_runs: bool) -> Vec<LifecycleEffect> {
        match (self.is_awake(), container_runs) {
            (false, false) => Vec::new(),
            // A container nobody asked for: a kill that was cut short by the eviction.
            (false, true) => vec![LifecycleEffect::Kill],
            (true, true) => vec![LifecycleEffect::Watch(self.run)],
            (true, false) => self.exited(
                now,
                jitter,
                "the container was gone when its Sandbox came back".into(),
            ),
        }
    }
}
