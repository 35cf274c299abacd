//! What a repository is asked for and does not do yet: said while it is tried again, which may take minutes.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ureq::http::Method;

use super::locked;

/// An answer that takes longer is told. The largest request, a pack of some 8 MB, takes that long at 4 Mbit/s.
const LONG: Duration = Duration::from_secs(20);

/// The requests that are not answered yet.
#[derive(Default)]
pub(super) struct Waits(Mutex<All>);

#[derive(Default)]
struct All {
    next: u64,
    waits: BTreeMap<u64, Wait>,
}

struct Wait {
    since: Instant,
    request: String,
    /// Why the last attempt failed.
    failed: Option<String>,
}

/// One request, until it is answered or given up.
pub(super) struct Waiting<'a> {
    all: &'a Mutex<All>,
    number: u64,
}

impl Waits {
    /// A request begins.
    pub(super) fn begin(&self, method: &Method, path: &str) -> Waiting<'_> {
        let mut all = locked(&self.0);
        let number = all.next;
        all.next = number.wrapping_add(1);
        let wait = Wait {
            since: Instant::now(),
            request: format!("{method} {path}"),
            failed: None,
        };
        all.waits.insert(number, wait);
        Waiting { all: &self.0, number }
    }

    /// Why nothing gets on: the oldest request that failed and is tried again, or is not answered for long.
    pub(super) fn held_up(&self) -> Option<String> {
        let all = locked(&self.0);
        let mut said = all.waits.values().filter_map(|wait| match &wait.failed {
            Some(failed) => Some(failed.clone()),
            None if wait.since.elapsed() >= LONG => Some(format!(
                "the repository has not answered {} for {} seconds",
                wait.request,
                LONG.as_secs()
            )),
            None => None,
        });
        said.next()
    }
}

impl Waiting<'_> {
    /// An attempt has failed, and there will be another.
    pub(super) fn failed(&self, why: &str) {
        if let Some(wait) = locked(self.all).waits.get_mut(&self.number) {
            wait.failed = Some(why.to_owned());
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        locked(self.all).waits.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_told_until_it_is_answered() {
        let waits = Waits::default();
        let one = waits.begin(&Method::GET, "config");
        let other = waits.begin(&Method::POST, "data/x");
        assert_eq!(waits.held_up(), None);
        other.failed("it answers 500");
        other.failed("it answers 503");
        assert_eq!(waits.held_up().unwrap(), "it answers 503");
        one.failed("it does not answer");
        assert_eq!(waits.held_up().unwrap(), "it does not answer");
        drop(one);
        assert_eq!(waits.held_up().unwrap(), "it answers 503");
        drop(other);
        assert_eq!(waits.held_up(), None);
    }

    #[test]
    fn what_is_not_answered_for_long_is_told() {
        let waits = Waits::default();
        let _waiting = waits.begin(&Method::POST, "data/x");
        if let Some(since) = Instant::now().checked_sub(LONG) {
            locked(&waits.0).waits.get_mut(&0).unwrap().since = since;
            let said = waits.held_up().unwrap();
            assert_eq!(said, "the repository has not answered POST data/x for 20 seconds");
        }
    }
}
