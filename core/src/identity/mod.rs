//! Who a caller is, and whether they may use the platform.

pub mod cache;
pub mod domain;
pub mod jwks;
pub mod mfa;
pub mod personal_token;
pub mod session;
pub mod session_handoff;
pub mod sign_in;
pub mod token;
pub mod users;
