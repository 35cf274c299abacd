//! What requests are for, and how they are answered.

use crate::api::contract::{Access, Output};
use crate::api::endpoint::Endpoint;
use crate::api::operation::Operation;
use crate::http::problem::{Fault, Refusal};

/// What a request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestClass {
    /// An owner's bot.
    Bot,
    /// The JSON API, but for admins' part of it.
    Api,
    /// Admins' part of the API.
    Admin,
    /// A page of the platform's own: to sign in, for the most part.
    Page,
    /// A repository of snapshots.
    Repository,
    /// Health and metrics.
    Monitor,
    /// No endpoint of ours.
    Nothing,
}

impl RequestClass {
    /// Every class.
    pub const ALL: [Self; 7] = [
        Self::Bot,
        Self::Api,
        Self::Admin,
        Self::Page,
        Self::Repository,
        Self::Monitor,
        Self::Nothing,
    ];

    /// Its text as a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bot => "bot",
            Self::Api => "api",
            Self::Admin => "admin",
            Self::Page => "page",
            Self::Repository => "repository",
            Self::Monitor => "monitor",
            Self::Nothing => "nothing",
        }
    }

    /// What requests to this endpoint are for.
    pub fn of(endpoint: &Endpoint) -> Self {
        match endpoint.access() {
            Access::Traffic => Self::Bot,
            Access::RepositoryToken => Self::Repository,
            Access::Monitor => Self::Monitor,
            Access::Admin => Self::Admin,
            _ if endpoint.operation() == Operation::Health => Self::Monitor,
            _ if endpoint.output() == Output::Page => Self::Page,
            _ => Self::Api,
        }
    }

    /// Whether its answers count in the alert about those that fail. Whoever watches asks in any case, and strangers ask for
    /// what is not there.
    pub fn is_watched(self) -> bool {
        !matches!(self, Self::Monitor | Self::Nothing)
    }
}

/// How a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// With what was asked for; of a bot's traffic whatever the bot has answered.
    Answered,
    /// With a status from 400 on: the caller has to do something else.
    Refused,
    /// With a status from 500 on that is nobody's failure here: a bot that wakes, a deployment that is being set up.
    Unavailable,
    /// With a status from 500 on that is the platform's own.
    Failed,
}

impl RequestOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Answered, Self::Refused, Self::Unavailable, Self::Failed];

    /// Its text as a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::Failed => "failed",
        }
    }

    /// That of a refusal.
    pub fn of_refusal(refusal: Refusal) -> Self {
        match (refusal.facts().0, refusal.fault()) {
            (..500, _) => Self::Refused,
            // What a monitor asks for is answered by it.
            _ if refusal == Refusal::PlatformUnhealthy => Self::Unavailable,
            (_, Fault::Platform) => Self::Failed,
            _ => Self::Unavailable,
        }
    }

    /// That of an answer of the platform's own, by its status. A container may have a part in what the API and a Sandbox answer:
    /// what it says is never our failure.
    pub fn of_status(class: RequestClass, status: u16) -> Self {
        match (status, class) {
            (..400, _) => Self::Answered,
            (..500, _) => Self::Refused,
            (_, RequestClass::Repository | RequestClass::Page) => Self::Failed,
            _ => Self::Unavailable,
        }
    }
}
