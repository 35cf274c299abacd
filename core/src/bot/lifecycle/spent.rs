//! What becomes of a bot that has spent its month's limit: it is put to sleep as an idle one is, and nothing wakes it before the
//! month is over or the limit is raised.

use super::{ASK_ACTIVITY_AGAIN_MS, Lifecycle, LifecycleEffect, LifecycleState, SPENT_GRACE_MS};
use crate::bot::incidents::IncidentKind;
use crate::cost::limit::{SpendLevel, Spending};

impl Lifecycle {
    /// Whether all of its limit is spent, as far as was known when something last happened.
    pub(super) fn has_spent(&self) -> bool {
        self.spending
            .is_some_and(|spending| spending.level == SpendLevel::Over)
    }

    /// The limit that is spent and keeps it asleep at time `now`.
    pub fn spent(&self, now: u64) -> Option<Spending> {
        self.spending
            .filter(|spending| spending.level == SpendLevel::Over && now < spending.until)
    }

    /// With its month a limit is over.
    pub(super) fn lift_spending(&mut self, now: u64) {
        if self.spending.is_some_and(|spending| spending.until <= now) {
            self.note_spending(now, None);
        }
    }

    fn note_spending(&mut self, now: u64, spending: Option<Spending>) {
        self.spending = spending;
        if !self.has_spent() {
            self.spent_deadline = None;
        }
        let spent_to = |level| spending.filter(|spending| spending.level == level);
        match spent_to(SpendLevel::Over) {
            Some(spending) => self.observe_spending(now, IncidentKind::SpendOverLimit, spending),
            None => drop(self.incidents.close(now, IncidentKind::SpendOverLimit)),
        }
        match (spent_to(SpendLevel::Near), self.has_spent()) {
            (Some(spending), _) => self.observe_spending(now, IncidentKind::SpendNearLimit, spending),
            // Who has spent all of it has spent most of it: that it is over would be told as good news.
            (None, true) => {}
            (None, false) => drop(self.incidents.close(now, IncidentKind::SpendNearLimit)),
        }
    }

    fn observe_spending(&mut self, now: u64, kind: IncidentKind, spending: Spending) {
        self.incidents.observe(now, kind, Some(&spending.in_words()));
    }

    pub(super) fn set_spending(&mut self, now: u64, spending: Option<Spending>) -> Vec<LifecycleEffect> {
        self.note_spending(now, spending.filter(|spending| now < spending.until));
        if !self.has_spent() {
            return match self.state {
                LifecycleState::BackingOff { until, .. } if self.restarts_automatically() => {
                    vec![LifecycleEffect::SetAlarm(until)]
                }
                _ => Vec::new(),
            };
        }
        match self.state {
            LifecycleState::Running | LifecycleState::CrashLooped { until: None, .. } => self.end_spent(now),
            // As where somebody decides that it is not to run: it begins afresh when it may again.
            LifecycleState::BackingOff { .. } | LifecycleState::CrashLooped { .. } => {
                self.failures = 0;
                self.enter(now, LifecycleState::Asleep);
                vec![LifecycleEffect::ClearAlarm]
            }
            _ => self.sleep_wanted(now),
        }
    }

    /// Asks whether it may be put to sleep, as of an idle one: what is not saved is saved first, and a turn that is under way may
    /// come to its end. Whoever says "not yet" for long is a stranger who says so.
    pub(super) fn end_spent(&mut self, now: u64) -> Vec<LifecycleEffect> {
        self.spent_deadline
            .get_or_insert(now.saturating_add(SPENT_GRACE_MS));
        let mut effects = self.look_again(now, ASK_ACTIVITY_AGAIN_MS);
        effects.push(LifecycleEffect::AskMaySleep(self.run));
        effects
    }

    /// Whether it had its time to come to an end.
    pub(super) fn is_spent_for_long(&self, now: u64) -> bool {
        let is_up = self.is_awake() && !matches!(self.state, LifecycleState::Stopping { .. });
        is_up && self.spent_deadline.is_some_and(|deadline| deadline <= now)
    }
}
