//! What is written down about a call: one event for each change, for each look of an admin at somebody's data, and for
//! each refusal of either.

use std::collections::VecDeque;

use super::contract::{Access, Audit};
use super::endpoint::Endpoint;
use super::operation::Operation;
use crate::bot::history::HistoryKind;
use crate::http::problem::Refusal;
use crate::user_id::UserId;

/// The same look, or the same refusal, of the same caller within this time is one event, in milliseconds. A page that
/// refreshes itself, or somebody who tries keys, would otherwise write a row with each request; each is a log line all
/// the same.
pub const REPEATED_WITHIN_MS: u64 = 60_000;
/// Looks and refusals an isolate remembers for that: some 100 bytes each.
const MAX_REMEMBERED: usize = 1_000;
/// Users whom one caller may name in refusals within that time, beside the first one of each endpoint and code, until only
/// their number is written. Whom they name is theirs to choose, and each new one is a row: enough to see whom somebody was
/// after, and fewer than there are endpoints to be refused at.
pub const MAX_NAMED: u32 = 8;
/// At which number of further ones that is: a row for each would be what the limit is there to prevent.
const FURTHER_WRITTEN: [u32; 5] = [1, 10, 100, 1_000, 10_000];
/// Callers an isolate remembers for that.
const MAX_CALLERS: usize = 200;
/// Characters kept of a `User-Agent`: those of browsers have some 120.
pub const MAX_AGENT_CHARACTERS: usize = 200;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// HTTP status.
    pub status: u16,
    /// The code of the refusal, if it was refused.
    pub code: Option<&'static str>,
}

impl Outcome {
    /// An answer that is no problem document: a success, or a page that says what was wrong.
    pub fn answered(status: u16) -> Self {
        Self { status, code: None }
    }

    /// Whether it was refused, or failed.
    pub fn is_refused(self) -> bool {
        self.status >= 400
    }

    /// The call was refused: its status and its code.
    pub fn refused(refusal: Refusal) -> Self {
        let (status, code, _) = refusal.facts();
        Self {
            status,
            code: Some(code),
        }
    }
}

/// What kind of event a call to this endpoint leaves; `None` where it leaves none.
pub fn kind(endpoint: &Endpoint) -> Option<HistoryKind> {
    match (endpoint.audit(), endpoint.operation()) {
        (Audit::Nothing, _) => None,
        (Audit::Look | Audit::Operator, _) => Some(HistoryKind::Inspected),
        (Audit::SignIn, Operation::SignOut | Operation::EndAdminSession) => Some(HistoryKind::SignedOut),
        (Audit::SignIn, _) | (Audit::Change, Operation::BeginAdminSession) => Some(HistoryKind::SignedIn),
        (
            Audit::Change,
            Operation::OrderBot(_)
            | Operation::OrderBotOf(_)
            | Operation::Snapshots(_)
            | Operation::SnapshotsOf(_)
            | Operation::Bulk(_)
            | Operation::SetUserStatus(_),
        ) => Some(HistoryKind::Ordered),
        (Audit::Change, _) => Some(HistoryKind::Changed),
    }
}

/// Whether it is worth an event that a caller was not let in: at an admin's endpoint whoever it was, and wherever something
/// would have been changed by somebody who proved who they are (`proven`). Of a stranger at an owner's endpoint nobody would
/// know in whose history to look, and what a limit turns away is meant to cost nothing.
pub fn records_refusal(endpoint: &Endpoint, proven: bool, refusal: Refusal) -> bool {
    let is_admins = matches!(endpoint.access(), Access::Admin | Access::Monitor);
    let matters = is_admins || (proven && endpoint.changes());
    // Who is nobody here has no history, and accounts of the project may be free.
    let is_nobody = matches!(refusal, Refusal::NotInvited | Refusal::AccountDeleted);
    let is_countless = is_nobody && !is_admins;
    matters && !is_countless && refusal != Refusal::TooMany
}

/// What kind of event an operator's call at a repository leaves. That something is not there is what clients ask to
/// find out, and no refusal of anybody.
pub fn operators_event(changes: bool, refusal: Option<Refusal>) -> HistoryKind {
    match refusal {
        Some(Refusal::DeletionRefused | Refusal::RepositoryTokenRefused) => HistoryKind::Refused,
        _ if changes => HistoryKind::Changed,
        _ => HistoryKind::Inspected,
    }
}

/// Looks and refusals that were written a moment ago.
#[derive(Debug, Default)]
pub struct Recent(VecDeque<(u64, String)>);

impl Recent {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// Whether this is to be written: it was not within [`REPEATED_WITHIN_MS`] before `now`. Remembers it, if so.
    pub fn is_new(&mut self, now: u64, what: String) -> bool {
        while self.0.front().is_some_and(|(at, _)| {
            at.saturating_add(REPEATED_WITHIN_MS) <= now || self.0.len() >= MAX_REMEMBERED
        }) {
            self.0.pop_front();
        }
        if self.0.iter().any(|(_, known)| *known == what) {
            return false;
        }
        self.0.push_back((now, what));
        true
    }

    /// Whether it was within [`REPEATED_WITHIN_MS`] before `now`.
    fn is_known(&self, now: u64, what: &str) -> bool {
        let mut known = self.0.iter();
        known.any(|(at, known)| at.saturating_add(REPEATED_WITHIN_MS) > now && known == what)
    }

    /// It was not written after all.
    pub fn forget(&mut self, what: &str) {
        self.0.retain(|(_, known)| known != what);
    }
}

/// What is written of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// An event that says all of it.
    Event,
    /// An event that says how many refusals of the caller there were within a minute that named others than those written.
    Further(u32),
    /// A log line.
    LogLine,
}

/// Refusals of a moment ago.
#[derive(Debug, Default)]
pub struct Refusals {
    recent: Recent,
    /// From when, which caller, and how often they named somebody whom no event of theirs named before.
    callers: VecDeque<(u64, String, u32)>,
}

impl Refusals {
    /// None yet.
    pub const fn new() -> Self {
        Self {
            recent: Recent::new(),
            callers: VecDeque::new(),
        }
    }

    /// What is to be written of a refusal: `caller` was refused `what` (endpoint and code), about `whom`.
    pub fn on(&mut self, now: u64, caller: &str, what: &str, whom: Option<UserId>) -> Written {
        let (first, this) = Self::keys(caller, what, whom);
        if self.recent.is_new(now, first) {
            self.recent.is_new(now, this);
            return Written::Event;
        }
        if whom.is_none() || self.recent.is_known(now, &this) {
            return Written::LogLine;
        }
        match self.count(now, caller) {
            named if named <= MAX_NAMED => {
                self.recent.is_new(now, this);
                Written::Event
            }
            named => {
                let further = named.saturating_sub(MAX_NAMED);
                match FURTHER_WRITTEN.contains(&further) {
                    true => Written::Further(further),
                    false => Written::LogLine,
                }
            }
        }
    }

    /// It was not written after all.
    pub fn forget(&mut self, caller: &str, what: &str, whom: Option<UserId>) {
        let (first, this) = Self::keys(caller, what, whom);
        self.recent.forget(&first);
        self.recent.forget(&this);
    }

    fn keys(caller: &str, what: &str, whom: Option<UserId>) -> (String, String) {
        (format!("{caller} {what}"), format!("{caller} {what} {whom:?}"))
    }

    fn count(&mut self, now: u64, caller: &str) -> u32 {
        let is_over = |(since, ..): &(u64, String, u32)| since.saturating_add(REPEATED_WITHIN_MS) <= now;
        while self.callers.front().is_some_and(is_over) || self.callers.len() >= MAX_CALLERS {
            self.callers.pop_front();
        }
        if let Some((.., named)) = self.callers.iter_mut().find(|(_, known, _)| known == caller) {
            *named = named.saturating_add(1);
            return *named;
        }
        self.callers.push_back((now, caller.to_owned(), 1));
        1
    }
}

/// The part of a `User-Agent` that is kept.
pub fn short_agent(agent: &str) -> String {
    agent.chars().take(MAX_AGENT_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::table::endpoints;

    #[test]
    fn what_is_audited_has_a_kind_of_event() {
        for endpoint in endpoints() {
            assert_eq!(
                kind(endpoint).is_some(),
                endpoint.audit() != Audit::Nothing,
                "{}",
                endpoint.name()
            );
        }
    }

    #[test]
    fn refusals_of_admin_endpoints_and_of_proven_changes_are_recorded() {
        for endpoint in endpoints() {
            let is_admins = endpoint.path().starts_with("/api/admin/");
            let (by_stranger, by_proven) = (
                records_refusal(endpoint, false, Refusal::SignInRequired),
                records_refusal(endpoint, true, Refusal::BearerRequired),
            );
            let changes = !matches!(endpoint.audit(), Audit::Nothing | Audit::Look);
            assert_eq!(by_stranger, is_admins, "{}", endpoint.name());
            assert_eq!(by_proven, is_admins || changes, "{}", endpoint.name());
            assert!(
                !records_refusal(endpoint, true, Refusal::TooMany),
                "{}",
                endpoint.name()
            );
        }
    }

    #[test]
    fn an_operators_event_says_whether_it_read_changed_or_was_refused() {
        for changes in [false, true] {
            let used = if changes {
                HistoryKind::Changed
            } else {
                HistoryKind::Inspected
            };
            for refusal in [
                None,
                Some(Refusal::NoSuchObject),
                Some(Refusal::StorageUnavailable),
            ] {
                assert_eq!(operators_event(changes, refusal), used, "{refusal:?}");
            }
            for refusal in [Refusal::DeletionRefused, Refusal::RepositoryTokenRefused] {
                assert_eq!(operators_event(changes, Some(refusal)), HistoryKind::Refused);
            }
        }
    }

    #[test]
    fn a_repeated_look_is_one_event_a_minute() {
        let mut recent = Recent::new();
        assert!(recent.is_new(0, "a".into()));
        assert!(!recent.is_new(REPEATED_WITHIN_MS - 1, "a".into()));
        assert!(recent.is_new(1, "b".into()));
        assert!(recent.is_new(REPEATED_WITHIN_MS, "a".into()));
        recent.forget("a");
        assert!(recent.is_new(REPEATED_WITHIN_MS, "a".into()));
        for number in 0..2 * MAX_REMEMBERED {
            recent.is_new(REPEATED_WITHIN_MS, number.to_string());
        }
        assert!(recent.0.len() <= MAX_REMEMBERED);
    }

    fn user(number: u32) -> Option<UserId> {
        format!("6f1c2a9e-8d2b-4a63-9f5e-{number:012x}").parse().ok()
    }

    #[test]
    fn refusals_name_whom_until_only_their_number_is_written() {
        let mut refusals = Refusals::new();
        let mut on = |now, what, whom| refusals.on(now, "a caller", what, whom);
        assert_eq!(on(0, "look", user(0)), Written::Event);
        assert_eq!(on(0, "look", user(0)), Written::LogLine);
        for number in 1..=MAX_NAMED {
            assert_eq!(on(0, "look", user(number)), Written::Event, "{number}");
            assert_eq!(on(0, "look", user(number)), Written::LogLine, "{number}");
        }
        let after = |named: u32| user(named + MAX_NAMED);
        let written: Vec<_> = (1..=1_000).map(|named| on(0, "look", after(named))).collect();
        let told: Vec<_> = written.iter().filter(|one| **one != Written::LogLine).collect();
        let further = [1, 10, 100, 1_000].map(Written::Further);
        assert_eq!(told, further.iter().collect::<Vec<_>>());
        // Another endpoint is an event, whomever it names; a second one there counts with the others.
        assert_eq!(on(1, "stop", user(5_000)), Written::Event);
        assert_eq!(on(1, "stop", user(5_001)), Written::LogLine);
        assert_eq!(on(1, "list", None), Written::Event);
        assert_eq!(on(1, "list", None), Written::LogLine);
        // A minute later it begins anew.
        assert_eq!(on(REPEATED_WITHIN_MS, "look", user(1)), Written::Event);
        assert_eq!(on(REPEATED_WITHIN_MS, "look", user(2)), Written::Event);
    }

    #[test]
    fn a_refusal_that_was_not_written_is_forgotten() {
        let mut refusals = Refusals::new();
        assert_eq!(refusals.on(0, "a caller", "look", user(1)), Written::Event);
        refusals.forget("a caller", "look", user(1));
        assert_eq!(refusals.on(0, "a caller", "look", user(1)), Written::Event);
    }

    #[test]
    fn the_memory_for_refusals_is_bounded() {
        let mut refusals = Refusals::new();
        for number in 0..3 * u32::try_from(MAX_REMEMBERED).unwrap() {
            for whom in [number, number + 1] {
                refusals.on(0, &number.to_string(), "look", user(whom));
            }
        }
        assert!(refusals.callers.len() <= MAX_CALLERS);
        assert!(refusals.recent.0.len() <= MAX_REMEMBERED);
    }

    #[test]
    fn a_long_user_agent_is_cut_between_characters() {
        assert_eq!(
            short_agent(&"é".repeat(300)).chars().count(),
            MAX_AGENT_CHARACTERS
        );
    }
}
