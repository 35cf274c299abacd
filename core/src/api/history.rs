//! The history of bots and accounts, as owners and admins read it.

use serde::{Deserialize, Serialize};

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

/// Events, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EventPage {
    /// At most a hundred.
    pub events: Vec<Event>,
    /// What `before` has to be for those that follow; null where there are none.
    pub next: Option<u64>,
}
