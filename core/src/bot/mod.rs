//! A bot's life: its container's as the Sandbox sees it, its gateway's as the supervisor sees it, and its history.

pub mod admission;
pub mod gateway;
pub mod history;
pub mod lifecycle;
pub mod slots;
