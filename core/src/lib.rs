//! The rules of Moltworker and the types both sides of a wire share.
//!
//! Nothing here knows the Workers runtime, tokio, a clock, a random source or any I/O: time and
//! randomness come in as arguments, decisions go out as values. What is here is proven by tables and
//! properties in milliseconds; `src/` and `container/` only carry it out.

// Who, and what they may do.
pub mod crossing;
pub mod domain;
pub mod host;
pub mod id;
pub mod jwks;
pub mod session;
pub mod sign_in;
pub mod token;
pub mod users;

// A request's way through the Worker.
pub mod hygiene;
pub mod limits;
pub mod origin;
pub mod problem;
pub mod route;
pub mod settings;

// A bot's life, and the words on each wire.
pub mod control;
pub mod event;
pub mod gateway;
pub mod ledger;
pub mod life;
pub mod repository;
pub mod retention;
pub mod run;
pub mod sandbox;
pub mod snapshots;
pub mod suspicion;

#[cfg(test)]
mod picture;
