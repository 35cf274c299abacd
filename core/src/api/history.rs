//! The history of bots and accounts, as owners and admins read it.

use serde::{Deserialize, Serialize};

use crate::bot::history::HistoryKind;
use crate::bot::slots;
use crate::user_id::UserId;

/// One event. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Event {
    /// What names it; later events have larger ones.
    pub id: u64,
    /// When it was.
    pub at: u64,
    /// Whose bot or account it is about; null where it is about neither.
    pub user_id: Option<UserId>,
    /// The run it was in.
    pub run: Option<u64>,
    /// What kind of event it is.
    pub kind: String,
    /// Who made it happen: `platform`, `owner`, `operator`, `anonymous`, or a user id.
    pub actor: String,
    /// Why, or which.
    pub detail: Option<String>,
    /// The endpoint that was called, by its name in this document.
    pub action: Option<String>,
    /// How the call ended: the HTTP status. Null where that is not known.
    pub status: Option<u16>,
    /// The code of the problem the call was answered with.
    pub code: Option<String>,
    /// The address it came from.
    pub address: Option<String>,
    /// What the caller said it is (`User-Agent`).
    pub agent: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
}

impl Event {
    /// What an owner is told of it. An admin's and an operator's address is their own, also of one whom nobody knew yet; from
    /// where somebody failed to sign in as them they are told. Which other bot made room is that one's affair.
    #[must_use]
    pub fn for_owner(self) -> Self {
        let failed_sign_in = self.actor == "anonymous" && self.action.as_deref() == Some("sign-in");
        let is_told = |_: &String| self.actor == "owner" || failed_sign_in;
        let detail = self.detail.map(|detail| {
            if self.kind == HistoryKind::NoCapacity.as_str() {
                return slots::room_for_owner(detail);
            }
            // As operators' rows were before the address had a column.
            match detail.split_once(", from ") {
                Some((what, _)) if self.actor == "operator" => what.to_owned(),
                _ => detail,
            }
        });
        Self {
            detail,
            address: self.address.filter(is_told),
            agent: self.agent.filter(is_told),
            request_id: self.request_id.filter(is_told),
            ..self
        }
    }
}

/// Events, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EventPage {
    /// At most a hundred.
    pub events: Vec<Event>,
    /// What `before` has to be for those that follow; null where there are none.
    pub next: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: &str = "0d3cf1f6-1c5e-4f6b-8a43-5a2f7b7f9c11";

    fn event(kind: HistoryKind, actor: &str, action: Option<&str>, detail: &str) -> Event {
        Event {
            id: 1,
            at: 2,
            user_id: None,
            run: None,
            kind: kind.as_str().to_owned(),
            actor: actor.to_owned(),
            detail: Some(detail.to_owned()),
            action: action.map(str::to_owned),
            status: Some(200),
            code: None,
            address: Some("198.51.100.77".to_owned()),
            agent: Some("a program".to_owned()),
            request_id: Some("a-ray".to_owned()),
        }
    }

    #[test]
    fn an_owner_is_told_addresses_of_their_own_calls_and_failed_sign_ins() {
        for (actor, action, is_told) in [
            ("owner", "stop-bot", true),
            ("anonymous", "sign-in", true),
            ("anonymous", "admin-get-bot", false),
            ("operator", "serve-repository", false),
            (OTHER, "admin-get-bot", false),
        ] {
            let told = event(HistoryKind::Inspected, actor, Some(action), "what").for_owner();
            let facts = [told.address, told.agent, told.request_id];
            assert!(
                facts.iter().all(|fact| fact.is_some() == is_told),
                "{actor} {action}"
            );
            assert_eq!(told.detail.as_deref(), Some("what"));
        }
    }

    #[test]
    fn an_owner_is_told_no_other_users_id_and_no_address_in_a_detail() {
        let room = format!("{OTHER} makes room");
        let told = event(HistoryKind::NoCapacity, "platform", None, &room).for_owner();
        assert_eq!(told.detail.as_deref(), Some("another bot makes room"));
        let told = event(HistoryKind::NoCapacity, "platform", None, "none is idle").for_owner();
        assert_eq!(told.detail.as_deref(), Some("none is idle"));
        let old = "the repository, from 198.51.100.77";
        let told = event(HistoryKind::Inspected, "operator", None, old).for_owner();
        assert_eq!(told.detail.as_deref(), Some("the repository"));
    }
}
