//! Alerts: what of that which goes wrong is told to people, when, how often and in which words.
//!
//! [`evaluate`](evaluate::evaluate) makes incidents of facts, and notices of incidents; a notice becomes one delivery for each
//! sink ([`delivery`]). Pure: times are milliseconds since 1970.

pub mod delivery;
pub mod evaluate;
pub mod facts;
pub mod format;
pub mod incident;
pub mod internal_hosts;
pub mod owner;
pub mod policy;
pub mod rules;
pub mod sink;
pub mod target;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
