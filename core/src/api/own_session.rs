//! Whose session a browser has, for the owner's own page.

use serde::Serialize;

use crate::user_id::UserId;

/// Who is signed in, and what their page needs to change something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OwnSession {
    /// Their id.
    pub user: UserId,
    /// Their e-mail address, as the identity provider knows it.
    pub email: Option<String>,
    /// The CSRF token of this session. Null where who asks has no session, and where bots' pages are on this host too (no
    /// `BOT_DOMAIN`): a page changes nothing there.
    pub csrf_token: Option<String>,
}
