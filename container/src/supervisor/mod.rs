//! PID 1: the loop around the gateway, and what it needs for that.

pub(crate) mod cgroup;
pub(crate) mod confined_config;
pub(crate) mod confined_process;
mod disk;
pub(crate) mod gateway_config;
pub(crate) mod gateway_process;
pub(crate) mod gateway_rpc;
pub(crate) mod gateway_shutdown;
pub(crate) mod home;
pub(crate) mod included;
pub(crate) mod locks;
pub(crate) mod log_line;
pub(crate) mod platform_settings;
pub(crate) mod probe;
pub(crate) mod processes;
pub(crate) mod quiesce;
pub(crate) mod reaper;
pub(crate) mod run_loop;
pub(crate) mod signals;
pub(crate) mod status;
pub(crate) mod tenant;
