//! What can be asked of the platform, one value for each endpoint.

use super::sandbox::Order;
use super::snapshots::SnapshotCall;
use crate::identity::users::UserStatus;

/// What an endpoint does. The Worker's handlers are found by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Is the Worker there? Answered without settings, identity or storage.
    Health,
    /// The OpenAPI document of these endpoints.
    ReadApiDocument,
    /// The sign-in page.
    ShowLogin,
    /// The sign-in form, sent.
    SubmitLogin,
    /// Off to an OAuth provider, by way of the identity provider.
    SignInWith,
    /// Back from the identity provider, with a code or an error.
    SignInCallback,
    /// End the browser's session.
    SignOut,
    /// On a bot's own host: the page that offers to sign out.
    ShowSignOut,
    /// On the platform's host: make a code with which the browser's session goes on to a bot's own host.
    IssueHandoffCode,
    /// On a bot's own host: take that code for a session.
    RedeemHandoffCode,
    /// The state of the caller's bot.
    GetBot,
    /// An order of the bot's owner.
    OrderBot(Order),
    /// The history of the caller's bot and account.
    ListEvents,
    /// What the gateway of the caller's bot wrote last.
    ReadLog,
    /// The snapshots of the caller's bot.
    Snapshots(SnapshotCall),
    /// The caller's domains.
    ListDomains,
    /// Claim a domain.
    AddDomain,
    /// Look into DNS whether a claim is proven.
    CheckDomain,
    /// Give a domain up.
    RemoveDomain,
    /// An admin: the state of somebody's bot.
    GetBotOf,
    /// An admin's order to somebody's bot.
    OrderBotOf(Order),
    /// An admin: the history of one bot and account.
    ListEventsOf,
    /// An admin: the history of all.
    ListAllEvents,
    /// An admin: what the gateway of somebody's bot wrote last.
    ReadLogOf,
    /// An admin: the snapshots of somebody's bot.
    SnapshotsOf(SnapshotCall),
    /// An admin: all users.
    ListUsers,
    /// An admin: one user.
    GetUser,
    /// An admin sets a user's status.
    SetUserStatus(UserStatus),
    /// An admin: a user's domains.
    ListDomainsOf,
    /// An admin vouches that a domain is a user's.
    VerifyDomainOf,
    /// An admin takes a domain from a user.
    RemoveDomainOf,
    /// An admin: all invitations.
    ListInvitations,
    /// An admin invites somebody.
    Invite,
    /// An admin takes an invitation back.
    Uninvite,
    /// An admin: the allow-list.
    ListAllowList,
    /// An admin adds to the allow-list.
    Allow,
    /// An admin takes from the allow-list.
    Disallow,
    /// The owner's traffic to their bot.
    ServeBot,
    /// A machine at a bot's repository of snapshots.
    ServeRepository,
}
