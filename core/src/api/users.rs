//! Users, and who may become one, as admins see them. Times are milliseconds since 1970.

use serde::{Deserialize, Serialize};

use crate::identity::users::UserStatus;
use crate::user_id::UserId;

/// A person who was let in once, and what was decided about them since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct User {
    /// The id Supabase knows the person by.
    pub user_id: UserId,
    /// As their last token said it.
    pub email: Option<String>,
    /// `user` or `admin`, as their last token said it.
    pub role: String,
    /// Whether they may use the platform.
    pub status: UserStatus,
    /// The admin who set it; null where it never was.
    pub status_by: Option<String>,
    /// When the status was set, in milliseconds since 1970; null where it never was.
    pub status_at: Option<u64>,
    /// When they came for the first time.
    pub created_at: u64,
    /// When they came last, within an hour.
    pub seen_at: u64,
}

/// Users in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UserPage {
    /// One page of them.
    pub users: Vec<User>,
    /// What `after` has to be for those that follow; null where there are none.
    pub next: Option<UserId>,
}

/// An invitation: it lets one person in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Invitation {
    /// An e-mail address or a user id.
    pub entry: String,
    /// The admin who made it.
    pub invited_by: String,
    /// When it was written, in milliseconds since 1970.
    pub invited_at: u64,
    /// The user it let in.
    pub used_by: Option<String>,
    /// When it let them in, in milliseconds since 1970; null while it is open.
    pub used_at: Option<u64>,
}

/// All invitations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct InvitationList {
    /// In the order of their entries.
    pub invitations: Vec<Invitation>,
}

/// A line of the allow-list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AllowListLine {
    /// An e-mail address, `@domain` or a user id.
    pub entry: String,
    /// The admin who added it.
    pub added_by: String,
    /// When it was listed, in milliseconds since 1970.
    pub added_at: u64,
}

/// The allow-list, without the operator's part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AllowList {
    /// In the order of their entries.
    pub allow_list: Vec<AllowListLine>,
}

/// Names one line of the allow-list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AccessEntry {
    /// An e-mail address, `@domain` or a user id.
    pub entry: String,
}

/// Names one person: whom an invitation is for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Invitee {
    /// An e-mail address or a user id.
    pub entry: String,
}
