//! The wire between a Sandbox and its container: the environment a run is started with, and the control port.

pub mod channels;
pub mod config;
pub mod control;
pub mod devices;
pub mod home_path;
pub mod job;
pub mod job_kind;
pub mod run;
