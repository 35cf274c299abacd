//! Connections of the supervisor's own ports, and its answers.

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod listener;
