//! What the Worker asks of the platform it runs on, each in one file.

pub(crate) mod analytics;
pub(crate) mod assets;
pub(crate) mod bindings;
pub(crate) mod clock;
pub(crate) mod configuration;
pub(crate) mod custom_hostname;
pub(crate) mod database;
pub(crate) mod history;
pub(crate) mod json;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod outgoing;
pub(crate) mod queue;
pub(crate) mod sandbox_client;
pub(crate) mod sql;
pub(crate) mod tasks;
pub(crate) mod watch;
pub(crate) mod webcrypto;
