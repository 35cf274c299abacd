//! What is written down about a call: one event for each change, for each look of an admin at somebody's data, and for
//! each refusal of either.

use std::collections::VecDeque;

use super::contract::{Access, Audit};
use super::endpoint::Endpoint;
use super::operation::Operation;
use crate::bot::history::HistoryKind;
use crate::http::problem::Refusal;

/// The same look, or the same refusal, of the same caller within this time is one event, in milliseconds. A page that
/// refreshes itself, or somebody who tries keys, would otherwise write a row with each request; each is a log line all
/// the same.
pub const REPEATED_WITHIN_MS: u64 = 60_000;
/// Looks and refusals an isolate remembers for that: some 100 bytes each.
const MAX_REMEMBERED: usize = 1_000;
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
        (Audit::Look, _) => Some(HistoryKind::Inspected),
        (Audit::SignIn, Operation::SignOut) => Some(HistoryKind::SignedOut),
        (Audit::SignIn, _) => Some(HistoryKind::SignedIn),
        (
            Audit::Change,
            Operation::OrderBot(_)
            | Operation::OrderBotOf(_)
            | Operation::Snapshots(_)
            | Operation::SnapshotsOf(_)
            | Operation::SetUserStatus(_),
        ) => Some(HistoryKind::Ordered),
        (Audit::Change, _) => Some(HistoryKind::Changed),
    }
}

/// Whether it is worth an event that a caller was not let in: at an admin's endpoint whoever it was, and wherever something
/// would have been changed by somebody who proved who they are (`proven`). Of a stranger at an owner's endpoint nobody would
/// know in whose history to look, and what a limit turns away is meant to cost nothing.
pub fn records_refusal(endpoint: &Endpoint, proven: bool, refusal: Refusal) -> bool {
    let matters = endpoint.access() == Access::Admin || (proven && endpoint.changes());
    // Who is nobody here has no history, and accounts of the project may be free.
    let is_nobody = matches!(refusal, Refusal::NotInvited | Refusal::AccountDeleted);
    let is_countless = is_nobody && endpoint.access() != Access::Admin;
    matters && !is_countless && refusal != Refusal::TooMany
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

    /// It was not written after all.
    pub fn forget(&mut self, what: &str) {
        self.0.retain(|(_, known)| known != what);
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
            let is_admins = endpoint.access() == Access::Admin;
            let (by_stranger, by_proven) = (
                records_refusal(endpoint, false, Refusal::SignInRequired),
                records_refusal(endpoint, true, Refusal::BearerRequired),
            );
            let changes = matches!(endpoint.audit(), Audit::Change | Audit::SignIn);
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

    #[test]
    fn a_long_user_agent_is_cut_between_characters() {
        assert_eq!(
            short_agent(&"é".repeat(300)).chars().count(),
            MAX_AGENT_CHARACTERS
        );
    }
}
