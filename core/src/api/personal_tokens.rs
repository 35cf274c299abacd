//! Personal access tokens, as their owner sees them. Times are milliseconds since 1970.

use serde::{Deserialize, Serialize};

use crate::identity::personal_token::TokenScope;

/// One token, without the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PersonalToken {
    /// By which it is revoked.
    pub id: String,
    /// Which device or program has it.
    pub name: String,
    /// What it is good for.
    pub scope: TokenScope,
    /// When it was made.
    pub created_at: u64,
    /// When it ends.
    pub expires_at: u64,
    /// When it was used last, within an hour; null if never.
    pub used_at: Option<u64>,
}

/// All tokens of one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PersonalTokenList {
    /// The newest first.
    pub tokens: Vec<PersonalToken>,
}

/// A token that was made just now. The platform cannot tell it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewPersonalToken {
    /// The token itself.
    pub token: String,
    /// What is known of it from now on.
    pub entry: PersonalToken,
}

/// A token that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PersonalTokenRequest {
    /// Which device or program is to have it.
    pub name: String,
    /// What it is to be good for.
    pub scope: TokenScope,
    /// How many days it is to live.
    #[serde(default)]
    pub expires_in_days: Option<u32>,
}

/// Names one token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PersonalTokenName {
    /// Its `id` in the list.
    pub id: String,
}
