//! What can be asked of the platform, one value for each endpoint, and the JSON documents that go in and out, by name.

use super::alerts::AlertCall;
use super::bulk::BulkCall;
use super::channels::ChannelCall;
use super::config::ConfigCall;
use super::costs::CostCall;
use super::owner_sink::OwnerSinkCall;
use super::sandbox::Order;
use super::snapshots::SnapshotCall;
use crate::identity::users::UserStatus;
use crate::wire::devices::DeviceCall;

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
    /// The page that asks for a second factor.
    ShowSecondFactor,
    /// A code of the second factor, or the request to enrol one.
    SubmitSecondFactor,
    /// Off to an OAuth provider, by way of the identity provider.
    SignInWith,
    /// What a page needs to sign an admin in at the identity provider by itself.
    ReadSignInSettings,
    /// Have a reload of the admin UI keep the session.
    BeginAdminSession,
    /// A token for the session that a reload of the admin UI kept.
    ResumeAdminSession,
    /// End that session.
    EndAdminSession,
    /// The way to the admin UI.
    EnterAdminUi,
    /// The admin UI: its page, whatever the address below, and its files.
    ServeAdminUi,
    /// The owner's own page.
    ShowOwnPage,
    /// The same at an address below it.
    ShowPartOfOwnPage,
    /// Who is signed in, for that page.
    ReadOwnSession,
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
    /// How the caller's bot was over time.
    ReadSeries,
    /// The history of the caller's bot and account.
    ListEvents,
    /// What the gateway of the caller's bot wrote last.
    ReadLog,
    /// The same, and what it writes from then on.
    FollowLog,
    /// What runs in the container of the caller's bot.
    ListProcesses,
    /// The config of the gateway of the caller's bot.
    Config(ConfigCall),
    /// The chat channels of the caller's bot.
    Channels(ChannelCall),
    /// The devices that may reach the gateway of the caller's bot.
    Devices(DeviceCall),
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
    /// The caller's personal access tokens.
    ListPersonalTokens,
    /// Make a personal access token.
    CreatePersonalToken,
    /// Revoke a personal access token.
    RevokePersonalToken,
    /// Where the caller is told about their own bot.
    OwnerSink(OwnerSinkCall),
    /// How the platform is.
    ReadHealth,
    /// The metrics of the platform and of the fleet.
    ReadMetrics,
    /// An admin: the fleet.
    ListBots,
    /// An admin: the state of somebody's bot.
    GetBotOf,
    /// An admin: how somebody's bot was over time.
    ReadSeriesOf,
    /// How the fleet was over time.
    ReadFleetSeries,
    /// An admin's order to somebody's bot.
    OrderBotOf(Order),
    /// An admin: the history of one bot and account.
    ListEventsOf,
    /// An admin: the history of all.
    ListAllEvents,
    /// An admin: what the gateway of somebody's bot wrote last.
    ReadLogOf,
    /// An admin: the same, and what it writes from then on.
    FollowLogOf,
    /// An admin: what runs in the container of somebody's bot.
    ListProcessesOf,
    /// An admin: the config of the gateway of somebody's bot.
    ConfigOf(ConfigCall),
    /// An admin: the chat channels of somebody's bot.
    ChannelsOf(ChannelCall),
    /// An admin: the devices that may reach the gateway of somebody's bot.
    DevicesOf(DeviceCall),
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
    /// An admin: incidents, and where and when they are told.
    Alerts(AlertCall),
    /// An admin: orders to many bots.
    Bulk(BulkCall),
    /// What bots cost, and what they may.
    Costs(CostCall),
    /// The owner's traffic to their bot.
    ServeBot,
    /// A machine at a bot's repository of snapshots.
    ServeRepository,
}

/// A type that is one of the documents that go out.
pub trait OutputDocument {
    /// Which one, in the table of endpoints.
    const DOCUMENT: Document;
}

/// A type that documents which come in are read into.
pub trait InputDocument {
    /// Whether it is what this one is read into.
    fn is_of(document: Document) -> bool;
}

/// One for all that say which snapshot, and where in it: which of its members a call takes is judged afterwards.
impl InputDocument for super::snapshots::SnapshotRequest {
    fn is_of(document: Document) -> bool {
        matches!(
            document,
            Document::TakeRequest | Document::RestoreRequest | Document::SnapshotName
        )
    }
}

/// The documents, once: their names in the table of endpoints, and the types they are written from and read into.
macro_rules! documents {
    (out { $($out:ident: $out_type:ty,)* } in { $($in:ident: $in_type:ty,)* }) => {
        documents!(@all $($out: $out_type,)* $($in: $in_type,)*);

        $(
            impl OutputDocument for $out_type {
                const DOCUMENT: Document = Document::$out;
            }
        )*
        $(
            impl InputDocument for $in_type {
                fn is_of(document: Document) -> bool {
                    document == Document::$in
                }
            }
        )*
    };
    (@all $($name:ident: $type:ty,)*) => {
        /// A JSON document of the API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Document {
            $(
                #[doc = concat!("[`", stringify!($type), "`]")]
                $name,
            )*
            /// A list of [`crate::wire::control::SnapshotEntry`].
            SnapshotEntries,
            /// The OpenAPI document itself.
            OpenApi,
        }

        impl Document {
            /// Its name in the OpenAPI document.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    Self::SnapshotEntries => "SnapshotEntries",
                    Self::OpenApi => "OpenApi",
                }
            }

            /// The schemas of all of them, and of what they consist of.
            #[cfg(feature = "schema")]
            pub(super) fn schemas() -> Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)> {
                use utoipa::{PartialSchema, ToSchema};
                let mut named = Vec::new();
                $(
                    named.push((<$type>::name().into_owned(), <$type>::schema()));
                    <$type>::schemas(&mut named);
                )*
                named
            }
        }
    };
}

documents! {
    out {
        BotStatus: super::bot::BotStatus,
        HealthReport: super::health::HealthReport,
        SignInSettings: super::sign_in::SignInSettings,
        OwnSession: super::own_session::OwnSession,
        AdminSessionState: super::sign_in::AdminSessionState,
        BotPage: super::bot::BotPage,
        BotSeries: super::series::BotSeries,
        FleetSeries: super::series::FleetSeries,
        EventPage: super::history::EventPage,
        SnapshotList: super::snapshots::SnapshotList,
        DomainList: super::domains::DomainList,
        Domain: super::domains::Domain,
        PersonalTokenList: super::personal_tokens::PersonalTokenList,
        NewPersonalToken: super::personal_tokens::NewPersonalToken,
        UserPage: super::users::UserPage,
        User: super::users::User,
        InvitationList: super::users::InvitationList,
        AllowList: super::users::AllowList,
        IncidentPage: super::alerts::IncidentPage,
        ListedIncident: super::alerts::ListedIncident,
        SinkList: super::alerts::SinkList,
        SinkTest: super::alerts::SinkTest,
        OwnerSink: super::owner_sink::OwnerSink,
        MuteList: super::mutes::MuteList,
        AlertRules: super::alerts::AlertRules,
        BulkReceipt: super::bulk::BulkReceipt,
        BulkOrderPage: super::bulk::BulkOrderPage,
        BulkOrderBots: super::bulk::BulkOrderBots,
        BulkOrder: super::bulk::BulkOrder,
        BotCosts: super::costs::BotCosts,
        FleetCosts: super::costs::FleetCosts,
        BotConfig: super::config::BotConfig,
        ConfigHistory: super::config::ConfigHistory,
        DeviceList: crate::wire::devices::DeviceList,
        ChannelList: crate::wire::channels::ChannelList,
        BotProcesses: super::processes::BotProcesses,
    }
    in {
        OrderRequest: super::sandbox::OrderRequest,
        TakeRequest: super::snapshots::TakeRequest,
        RestoreRequest: super::snapshots::RestoreRequest,
        SnapshotName: super::snapshots::SnapshotName,
        DomainName: super::domains::DomainName,
        PersonalTokenRequest: super::personal_tokens::PersonalTokenRequest,
        PersonalTokenName: super::personal_tokens::PersonalTokenName,
        AdminSessionRequest: super::sign_in::AdminSessionRequest,
        AccessEntry: super::users::AccessEntry,
        Invitee: super::users::Invitee,
        IncidentName: super::alerts::IncidentName,
        SinkRequest: crate::alerts::sink::SinkRequest,
        SinkName: super::alerts::SinkName,
        OwnerSinkRequest: crate::alerts::sink::OwnerSinkRequest,
        MuteRequest: super::mutes::MuteRequest,
        MuteName: super::mutes::MuteName,
        AlertSettings: crate::alerts::policy::AlertSettings,
        BulkRequest: super::bulk::BulkRequest,
        LimitRequest: super::costs::LimitRequest,
        ConfigPatch: super::config::ConfigPatch,
        ConfigChangeName: super::config::ConfigChangeName,
        DeviceName: crate::wire::devices::DeviceName,
        ChannelRequest: super::channels::ChannelRequest,
        ChannelName: super::channels::ChannelName,
    }
}
