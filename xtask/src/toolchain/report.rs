//! One line per step of the set-up: what, how long, and why when something had to be done.

use std::cell::Cell;
use std::time::Instant;

use anyhow::{Context as _, Result};

/// Whether a step that found everything in place is worth a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Every step gets its line.
    EveryStep,
    /// Only steps that did something: for commands that other tools call on every build.
    OnlyWork,
}

pub(crate) struct Report {
    detail: Detail,
}

/// Lets a running step say what it is doing and why, before it takes its time.
pub(crate) struct Say<'a> {
    step: &'a str,
    spoke: Cell<bool>,
}

impl Say<'_> {
    pub(crate) fn doing(&self, what: impl AsRef<str>) {
        self.spoke.set(true);
        eprintln!("  {:<16} ...     {}", self.step, what.as_ref());
    }
}

impl Report {
    pub(crate) const fn new(detail: Detail) -> Self {
        Self { detail }
    }

    /// Runs one step. It returns its value and what the line says about it.
    pub(crate) fn step<T>(&self, name: &str, run: impl FnOnce(&Say<'_>) -> Result<(T, String)>) -> Result<T> {
        let started = Instant::now();
        let say = Say {
            step: name,
            spoke: Cell::new(false),
        };
        let (value, outcome) = run(&say).with_context(|| format!("set-up of {name} failed"))?;
        if self.detail == Detail::EveryStep || say.spoke.get() {
            let seconds = started.elapsed().as_secs_f32();
            eprintln!("  {name:<16} {seconds:>5.1} s {outcome}");
        }
        Ok(value)
    }
}
