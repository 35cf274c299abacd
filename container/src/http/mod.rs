//! Connections of the supervisor's own ports, its answers, and what the owner's traffic does on them.

pub(crate) mod activity;
pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod frames;
pub(crate) mod listener;
pub(crate) mod upload;
