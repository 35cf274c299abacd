//! A bot's life: its container's as the Sandbox sees it, its gateway's as the supervisor sees it, its heartbeat, its
//! history, its incidents and restarts, and what it uses over time.

pub mod admission;
pub mod bot_state;
pub mod config;
pub mod gateway;
pub mod heartbeat;
pub mod history;
pub mod incidents;
pub mod lifecycle;
pub mod restarts;
pub mod series;
pub mod slots;
pub mod usage;
