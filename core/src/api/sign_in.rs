//! What a page of ours needs to sign somebody in at the identity provider by itself.

use serde::Serialize;

use crate::identity::mfa::RequireMfa;
use crate::settings::Settings;

/// Where an admin signs in, and by what. None of it is secret: each browser that signs in there has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SignInSettings {
    /// The Auth API of the identity provider.
    pub auth_url: String,
    /// The project's public key, without which that answers nobody.
    pub api_key: String,
    /// What only an admin may do takes a second factor.
    pub second_factor: bool,
}

impl From<&Settings> for SignInSettings {
    fn from(settings: &Settings) -> Self {
        Self {
            auth_url: settings.auth_url(),
            api_key: settings.anon_key.clone(),
            second_factor: settings.tokens.require_mfa != RequireMfa::Nobody,
        }
    }
}
