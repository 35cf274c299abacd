//! What callers can ask of the platform, and the documents it answers with.

pub mod bot;
pub mod route;
pub mod sandbox;
pub mod snapshots;
