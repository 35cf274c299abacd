//! The supervisor as a process, with a small fake in the gateway's place.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod backup;
mod control;
mod disk;
mod drill;
mod faults;
mod fixture;
mod healing;
mod ingress;
mod kept;
mod kills;
mod life;
mod maintenance;
mod quiesce;
mod repository;
mod rollback;
mod strangers;
mod tokens;
mod tree;
mod upgrade;
mod writes;
