//! What callers can ask of the platform, and the documents it answers with.
//!
//! [`table`] is the one list of endpoints; [`endpoint`] says what is known of each, [`route`] finds the one a request
//! means, [`access`] says who may call it, [`audit`] what is written down about that. The other modules are the
//! documents that go in and out, and what the Worker asks of a Sandbox.

pub mod access;
pub mod alerts;
pub mod audit;
pub mod bot;
pub mod bulk;
pub mod channels;
pub mod config;
pub mod contract;
pub mod costs;
pub mod devices;
pub mod domains;
pub mod endpoint;
pub mod fleet;
pub mod health;
pub mod history;
pub mod mutes;
#[cfg(feature = "schema")]
pub mod openapi;
pub mod operation;
pub mod own_session;
pub mod owner_sink;
pub mod page;
pub mod parameter;
pub mod personal_tokens;
pub mod processes;
pub mod raw_document;
pub mod route;
pub mod sandbox;
pub mod series;
pub mod sign_in;
pub mod snapshots;
pub mod table;
pub mod users;
