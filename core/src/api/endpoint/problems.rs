//! Which refusals a caller of an endpoint can meet.

use super::Endpoint;
use crate::api::contract::{Access, Hosts, Input, Output};
use crate::api::operation::Operation;
use crate::http::problem::Refusal;

impl Endpoint {
    /// Every refusal a caller can meet here. That an address does not take a method is none of an endpoint's.
    pub fn problems(&self) -> Vec<Refusal> {
        // Answered before anything is looked at.
        if self.operation == Operation::Health {
            return Vec::new();
        }
        let by_host: &[Refusal] = match self.hosts {
            Hosts::Every => &[],
            // A host that is neither ours nor below `BOT_DOMAIN` is looked up.
            _ => &[Refusal::UnknownHost, Refusal::DirectoryUnavailable],
        };
        // What a path's braces do not take is no address of the platform's.
        let by_path: &[Refusal] = match self.path.contains('{') && self.output != Output::Upstream {
            true => &[Refusal::NotFound],
            false => &[],
        };
        let by_access: &[&[Refusal]] = match self.access {
            Access::Public => &[],
            Access::Session => &[&OF_CALLERS, &[Refusal::HandoffRefused]],
            Access::Traffic => &[&OF_CALLERS],
            Access::Owner | Access::OwnerOrButton => &[
                &OF_CALLERS,
                &[
                    Refusal::WrongOrigin,
                    Refusal::CsrfTokenRefused,
                    Refusal::TokenScope,
                ],
            ],
            Access::OwnerOrPage => &[&OF_CALLERS, &OF_PAGES, &[Refusal::TokenScope]],
            Access::OwnerInPerson => &[&OF_CALLERS, &OF_PAGES, &[Refusal::PersonalTokenRefused]],
            Access::Admin | Access::Monitor => &[
                &OF_CALLERS,
                &[
                    Refusal::BearerRequired,
                    Refusal::PersonalTokenRefused,
                    Refusal::NotAnAdmin,
                ],
            ],
            Access::RepositoryToken => &[&OF_MACHINES],
        };
        let by_input: &[Refusal] = match self.input {
            Input::Form => &[Refusal::BadForm, Refusal::BadRequest, Refusal::TooLarge],
            Input::Stream => &[],
            // Also where nothing is taken: a body of no length, an unknown name in the query.
            Input::Nothing | Input::Query(_) | Input::Json(_) | Input::OptionalJson(_) => {
                &[Refusal::BadRequest, Refusal::TooLarge]
            }
        };
        let by_output: &[Refusal] = match self.output {
            Output::File => &[Refusal::BadRange],
            _ => &[],
        };
        // On a bot's own host only its owner is anybody.
        let by_owner: &[Refusal] = match self.access {
            Access::Public | Access::Admin | Access::Monitor | Access::RepositoryToken => &[],
            _ if self.hosts == Hosts::Platform => &[],
            _ => &[Refusal::NotYourBot],
        };
        let mut all: Vec<Refusal> = Vec::new();
        let lists = [&OF_EVERYBODY, by_host, by_path, by_owner]
            .into_iter()
            .chain(by_access.iter().copied())
            .chain([by_input, self.problems, by_output]);
        for refusal in lists.flatten() {
            if !all.contains(refusal) {
                all.push(*refusal);
            }
        }
        all
    }
}

/// Wherever one asks.
const OF_EVERYBODY: [Refusal; 3] = [Refusal::NotConfigured, Refusal::TooMany, Refusal::Internal];
/// Who has to say who they are.
const OF_CALLERS: [Refusal; 9] = [
    Refusal::SignInRequired,
    Refusal::SecondFactorRequired,
    Refusal::TokenExpired,
    Refusal::TokenRefused,
    Refusal::NotInvited,
    Refusal::AccountSuspended,
    Refusal::AccountDeleted,
    Refusal::IdentityProviderUnavailable,
    Refusal::DirectoryUnavailable,
];
/// Who has a session, and perhaps the owner's own page.
const OF_PAGES: [Refusal; 3] = [
    Refusal::BearerRequired,
    Refusal::WrongOrigin,
    Refusal::CsrfTokenRefused,
];
/// A machine at a repository.
const OF_MACHINES: [Refusal; 4] = [
    Refusal::RepositoryTokenRequired,
    Refusal::RepositoryTokenExpired,
    Refusal::RepositoryTokenRefused,
    Refusal::ForeignRepository,
];
