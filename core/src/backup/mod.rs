//! A bot's snapshots: when they are taken, what a Sandbox remembers of them, which are kept, and how they are stored.

mod order;
pub mod repository;
pub mod retention;
pub mod schedule;
pub mod state;
pub mod suspicion;

pub use order::newest_first;
