//! What is inside a bot that is awake: its log, its processes, its gateway's config, channels and devices. Its owner has each endpoint, and an admin the same for
//! somebody's bot.

use super::rows::{CONTAINS, LINES, OF_AWAKE_BOTS};
use crate::api::channels::ChannelCall;
use crate::api::config::ConfigCall;
use crate::api::contract::ChangeMethod::{Delete, Post, Put};
use crate::api::contract::{Input, Output};
use crate::api::endpoint::Endpoint;
use crate::api::operation::{Document, Operation};
use crate::wire::devices::DeviceCall;

pub(super) static INSIDE: &[Endpoint] = &[
    // What it says and what runs in it.
    Endpoint::own(
        Operation::FollowLog,
        "follow-log",
        "/api/bot/logs/follow",
        "What the bot's gateway wrote last, and what it writes from then on, line by line",
    )
    .without_head()
    .takes(Input::Query(&[LINES, CONTAINS]))
    .answers(Output::Text)
    .or(OF_AWAKE_BOTS),
    Endpoint::admin_look(
        Operation::FollowLogOf,
        "admin-follow-log",
        "/api/admin/bots/{user}/logs/follow",
        "What the gateway of somebody's bot wrote last, and what it writes from then on, line by line",
    )
    .without_head()
    .takes(Input::Query(&[LINES, CONTAINS]))
    .answers(Output::Text)
    .or(OF_AWAKE_BOTS),
    Endpoint::own(
        Operation::ListProcesses,
        "list-processes",
        "/api/bot/processes",
        "What runs in the bot's container, and what it takes of memory and disk",
    )
    .answers(Output::Json(Document::BotProcesses))
    .or(OF_AWAKE_BOTS),
    Endpoint::admin_look(
        Operation::ListProcessesOf,
        "admin-list-processes",
        "/api/admin/bots/{user}/processes",
        "What runs in the container of somebody's bot, and what it takes of memory and disk",
    )
    .answers(Output::Json(Document::BotProcesses))
    .or(OF_AWAKE_BOTS),
    // The gateway's config. Channels and the addresses that keys are sent to are in it, so no personal token changes it.
    config(
        Endpoint::own(
            Operation::Config(ConfigCall::Read),
            "read-config",
            "/api/bot/config",
            "The config of the bot's gateway, without its secrets",
        ),
        ConfigCall::Read,
    ),
    config(
        Endpoint::own_secrets_change(
            Operation::Config(ConfigCall::Patch),
            "patch-config",
            "/api/bot/config",
            "Merge a patch into the config, if the gateway takes it; the config afterwards",
            Post,
        ),
        ConfigCall::Patch,
    ),
    config(
        Endpoint::own(
            Operation::Config(ConfigCall::List),
            "list-config-changes",
            "/api/bot/config/changes",
            "Which changes were made to the config through the platform, newest first",
        ),
        ConfigCall::List,
    ),
    config(
        Endpoint::own_secrets_change(
            Operation::Config(ConfigCall::RollBack),
            "roll-back-config",
            "/api/bot/config/roll-back",
            "Make the config what it was before a change; the config afterwards",
            Post,
        ),
        ConfigCall::RollBack,
    ),
    config(
        Endpoint::admin_look(
            Operation::ConfigOf(ConfigCall::Read),
            "admin-read-config",
            "/api/admin/bots/{user}/config",
            "The config of the gateway of somebody's bot, without its secrets",
        ),
        ConfigCall::Read,
    ),
    config(
        Endpoint::admin_change(
            Operation::ConfigOf(ConfigCall::Patch),
            "admin-patch-config",
            "/api/admin/bots/{user}/config",
            "Merge a patch into the config of somebody's bot, if its gateway takes it; the config afterwards",
            Post,
        ),
        ConfigCall::Patch,
    ),
    config(
        Endpoint::admin_look(
            Operation::ConfigOf(ConfigCall::List),
            "admin-list-config-changes",
            "/api/admin/bots/{user}/config/changes",
            "Which changes were made to the config of somebody's bot through the platform, newest first",
        ),
        ConfigCall::List,
    ),
    config(
        Endpoint::admin_change(
            Operation::ConfigOf(ConfigCall::RollBack),
            "admin-roll-back-config",
            "/api/admin/bots/{user}/config/roll-back",
            "Make the config of somebody's bot what it was before a change; the config afterwards",
            Post,
        ),
        ConfigCall::RollBack,
    ),
    // Chat channels. Whoever has one writes to the bot, so no personal token adds one.
    channels(
        Endpoint::own(
            Operation::Channels(ChannelCall::List),
            "list-channels",
            "/api/bot/channels",
            "The chat channels of the bot, and whether they work: each is tried",
        ),
        ChannelCall::List,
    ),
    channels(
        Endpoint::own_secrets_change(
            Operation::Channels(ChannelCall::Set),
            "set-channel",
            "/api/bot/channels",
            "Add a chat channel to the bot, or give it another token; the channels afterwards",
            Put,
        ),
        ChannelCall::Set,
    ),
    channels(
        Endpoint::own_secrets_change(
            Operation::Channels(ChannelCall::Remove),
            "remove-channel",
            "/api/bot/channels",
            "Take a chat channel from the bot, with all that is set of it; the channels afterwards",
            Delete,
        ),
        ChannelCall::Remove,
    ),
    channels(
        Endpoint::admin_look(
            Operation::ChannelsOf(ChannelCall::List),
            "admin-list-channels",
            "/api/admin/bots/{user}/channels",
            "The chat channels of somebody's bot, and whether they work: each is tried",
        ),
        ChannelCall::List,
    ),
    channels(
        Endpoint::admin_change(
            Operation::ChannelsOf(ChannelCall::Set),
            "admin-set-channel",
            "/api/admin/bots/{user}/channels",
            "Add a chat channel to somebody's bot, or give it another token; the channels afterwards",
            Put,
        ),
        ChannelCall::Set,
    ),
    channels(
        Endpoint::admin_change(
            Operation::ChannelsOf(ChannelCall::Remove),
            "admin-remove-channel",
            "/api/admin/bots/{user}/channels",
            "Take a chat channel from somebody's bot, with all that is set of it; the channels afterwards",
            Delete,
        ),
        ChannelCall::Remove,
    ),
    // Devices with a key of their own. Whoever lets one in lets it in for good, so no personal token does.
    devices(
        Endpoint::own(
            Operation::Devices(DeviceCall::List),
            "list-devices",
            "/api/bot/devices",
            "The devices that may reach the bot's gateway, and those that want to",
        ),
        DeviceCall::List,
    ),
    devices(
        Endpoint::own_secrets_change(
            Operation::Devices(DeviceCall::Approve),
            "approve-device",
            "/api/bot/devices/approve",
            "Let a device in that waits; the devices afterwards",
            Post,
        ),
        DeviceCall::Approve,
    ),
    devices(
        Endpoint::own_change(
            Operation::Devices(DeviceCall::Reject),
            "reject-device",
            "/api/bot/devices/reject",
            "Turn a device away that waits; the devices afterwards",
            Post,
        ),
        DeviceCall::Reject,
    ),
    devices(
        Endpoint::own_change(
            Operation::Devices(DeviceCall::Revoke),
            "revoke-device",
            "/api/bot/devices/revoke",
            "Take a device's access from it; the devices afterwards",
            Post,
        ),
        DeviceCall::Revoke,
    ),
    devices(
        Endpoint::admin_look(
            Operation::DevicesOf(DeviceCall::List),
            "admin-list-devices",
            "/api/admin/bots/{user}/devices",
            "The devices that may reach the gateway of somebody's bot, and those that want to",
        ),
        DeviceCall::List,
    ),
    devices(
        Endpoint::admin_change(
            Operation::DevicesOf(DeviceCall::Approve),
            "admin-approve-device",
            "/api/admin/bots/{user}/devices/approve",
            "Let a device in that waits at somebody's bot; the devices afterwards",
            Post,
        ),
        DeviceCall::Approve,
    ),
    devices(
        Endpoint::admin_change(
            Operation::DevicesOf(DeviceCall::Reject),
            "admin-reject-device",
            "/api/admin/bots/{user}/devices/reject",
            "Turn a device away that waits at somebody's bot; the devices afterwards",
            Post,
        ),
        DeviceCall::Reject,
    ),
    devices(
        Endpoint::admin_change(
            Operation::DevicesOf(DeviceCall::Revoke),
            "admin-revoke-device",
            "/api/admin/bots/{user}/devices/revoke",
            "Take a device's access to somebody's bot from it; the devices afterwards",
            Post,
        ),
        DeviceCall::Revoke,
    ),
];

const fn config(endpoint: Endpoint, call: ConfigCall) -> Endpoint {
    let (input, output) = match call {
        ConfigCall::Read => (Input::Nothing, Document::BotConfig),
        ConfigCall::List => (Input::Nothing, Document::ConfigHistory),
        ConfigCall::Patch => (Input::Json(Document::ConfigPatch), Document::BotConfig),
        ConfigCall::RollBack => (Input::Json(Document::ConfigChangeName), Document::BotConfig),
    };
    endpoint
        .takes(input)
        .answers(Output::Json(output))
        .or(call.problems())
}

const fn channels(endpoint: Endpoint, call: ChannelCall) -> Endpoint {
    let input = match call {
        ChannelCall::List => Input::Nothing,
        ChannelCall::Set => Input::Json(Document::ChannelRequest),
        ChannelCall::Remove => Input::Json(Document::ChannelName),
    };
    endpoint
        .takes(input)
        .answers(Output::Json(Document::ChannelList))
        .or(call.problems())
}

const fn devices(endpoint: Endpoint, call: DeviceCall) -> Endpoint {
    let input = match call {
        DeviceCall::List => Input::Nothing,
        DeviceCall::Approve | DeviceCall::Reject | DeviceCall::Revoke => Input::Json(Document::DeviceName),
    };
    endpoint
        .takes(input)
        .answers(Output::Json(Document::DeviceList))
        .or(call.problems())
}
