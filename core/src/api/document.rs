//! The JSON documents of the API, by name: what the table of endpoints refers to.

/// A document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// [`super::bot::BotStatus`]
    BotStatus,
    /// [`super::history::EventPage`]
    EventPage,
    /// [`super::snapshots::SnapshotList`]
    SnapshotList,
    /// [`super::snapshots::SnapshotRequest`]
    SnapshotRequest,
    /// `super::snapshots::SnapshotName`
    SnapshotName,
    /// A list of [`crate::wire::control::SnapshotEntry`].
    SnapshotEntries,
    /// [`super::domains::DomainList`]
    DomainList,
    /// [`super::domains::Domain`]
    Domain,
    /// [`super::domains::DomainName`]
    DomainName,
    /// [`super::users::UserPage`]
    UserPage,
    /// [`super::users::User`]
    User,
    /// [`super::users::InvitationList`]
    InvitationList,
    /// [`super::users::AllowList`]
    AllowList,
    /// [`super::users::AccessEntry`]
    AccessEntry,
    /// [`super::users::Invitee`]
    Invitee,
    /// The OpenAPI document itself.
    OpenApi,
}
