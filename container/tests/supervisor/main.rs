//! The supervisor as a process, with a small fake in the gateway's place.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod backup;
mod browse;
mod config;
mod control;
mod disk;
mod drill;
mod excluded;
mod faults;
mod fixture;
mod healing;
mod homes;
mod hostile_config;
mod hostile_databases;
mod ingress;
mod kept;
mod keys;
mod kills;
mod lacking;
mod large;
mod life;
mod losses;
mod maintenance;
mod moments;
mod outlive;
mod quiesce;
mod reads;
mod repository;
mod restic;
mod rollback;
mod saved;
mod strangers;
mod swapped;
mod tokens;
mod tree;
mod unchanged;
mod upgrade;
mod writes;
