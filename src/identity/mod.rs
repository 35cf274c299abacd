//! Who asks: access tokens, browser sessions, and the table of users.

pub(crate) mod admission;
pub(crate) mod auth_api;
pub(crate) mod caller;
pub(crate) mod csrf;
pub(crate) mod jwks;
pub(crate) mod mfa_api;
pub(crate) mod personal_tokens;
pub(crate) mod sealed;
pub(crate) mod session_handoff;
pub(crate) mod sign_in;
pub(crate) mod users;
