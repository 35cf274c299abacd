//! Metrics: what of the platform is counted or measured, in one table, and how a scrape of Prometheus reads it.
//!
//! Each metric is declared once, in [`table`], with all the series it can have: nothing a client or a bot says becomes one.
//! `docs/metrics.md` is written from there. What is counted goes through [`count`] into D1 and back into a page by [`scrape`].

pub mod bots;
pub mod classes;
pub mod count;
pub mod exposition;
pub mod metric;
pub mod requests;
pub mod scrape;
pub mod table;

#[cfg(test)]
mod tests;
