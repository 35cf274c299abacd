//! What a page of ours needs to sign somebody in at the identity provider by itself.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::identity::mfa::RequireMfa;
use crate::settings::Settings;
use crate::user_id::UserId;

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

/// What the admin UI hands over once an admin is in, so that a reload need not sign in again.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AdminSessionRequest {
    /// The refresh token of the sign-in. It is kept sealed, and nobody but the platform spends it from then on.
    pub refresh_token: String,
}

/// The session of the admin UI, as far as there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AdminSessionState {
    /// By what the page calls an admin's endpoints; null where it has to sign in.
    pub session: Option<AdminToken>,
}

/// An access token for the admin UI.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AdminToken {
    /// The access token.
    pub access_token: String,
    /// When it ends, in milliseconds since 1970.
    pub expires_at: u64,
    /// Whose it is.
    pub user_id: UserId,
    /// As the token says it.
    pub email: Option<String>,
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(hidden)")
    }
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
