//! The rules of Moltworker and the types both sides of a wire share.
//!
//! Nothing here knows the Workers runtime, tokio, a clock, a random source or any I/O: time and
//! randomness come in as arguments, decisions go out as values. What is here is proven by tables and
//! properties in milliseconds; `src/` and `container/` only carry it out.
//!
//! The layers, from the bottom: `hex`, `json`, `secret`, `user_id`, `wire`, `http`, `identity`, `cost`, `bot`, `backup`,
//! `alerts`, `settings`, `jobs`, `api`, `metrics`.
//! Each imports only what lies below it.

pub mod alerts;
pub mod api;
pub mod backup;
pub mod base64;
pub mod bot;
pub mod cost;
pub mod hex;
pub mod http;
pub mod identity;
pub mod jobs;
pub mod json;
pub mod metrics;
pub mod secret;
pub mod settings;
pub mod user_id;
pub mod wire;

#[cfg(test)]
mod diagram;
