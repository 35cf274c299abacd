//! What owners and admins can do about the devices that may reach a bot's gateway.

use serde::{Deserialize, Serialize};

use crate::http::problem::Refusal;
use crate::wire::devices::DeviceCall;

impl DeviceCall {
    /// Why it can be refused beside what follows from who may call.
    pub const fn problems(self) -> &'static [Refusal] {
        match self {
            Self::List => &[
                Refusal::BotAsleep,
                Refusal::BotWaking,
                Refusal::GatewayUnavailable,
            ],
            Self::Approve | Self::Reject | Self::Revoke => &[
                Refusal::BotAsleep,
                Refusal::BotWaking,
                Refusal::GatewayUnavailable,
                Refusal::NoSuchEntry,
            ],
        }
    }
}

/// What the Worker wants of a Sandbox about the bot's devices: [`SandboxAnswer::Document`] of a [`DeviceList`].
///
/// [`SandboxAnswer::Document`]: super::sandbox::SandboxAnswer::Document
/// [`DeviceList`]: crate::wire::devices::DeviceList
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceCommand {
    /// What is wanted.
    pub call: DeviceCall,
    /// Of which one; none for the list.
    pub id: Option<String>,
}
