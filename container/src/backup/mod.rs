//! The bot's home and its snapshots: a controller in the supervisor, and a worker process for each job.

pub(crate) mod controller;
pub(crate) mod launcher;
pub(crate) mod stillness;
pub(crate) mod watch;
pub(crate) mod worker;
