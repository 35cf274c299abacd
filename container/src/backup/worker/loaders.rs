//! rustic's check takes its index apart once all trees are read, and panics with "index still in use" where a thread that has
//! read some holds it for more than 100 ms longer. On a busy machine, at a low priority, one does. The end of that progress is
//! the one place between the two where something of ours runs, and there those threads are waited for: each holds the
//! repository's client as well.

use std::fmt::{Debug, Formatter};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustic_core::{Progress, ProgressBars, ProgressType, RusticProgress};

/// What rustic calls the reading of trees.
const CHECKING_TREES: &str = "checking trees...";
/// They have nothing to do any more but to end; what takes longer than this ends the check.
const DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks whether they have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Shows nothing, and waits where that is needed.
pub(super) struct Loaders<T>(pub(super) Arc<T>);

/// The reading of trees.
struct Reading<T> {
    client: Arc<T>,
    /// So many held it before.
    holders: usize,
}

impl<T> Debug for Loaders<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Loaders")
    }
}

impl<T> Debug for Reading<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reading")
    }
}

impl<T: Send + Sync + 'static> ProgressBars for Loaders<T> {
    fn progress(&self, _: ProgressType, prefix: &str) -> Progress {
        if prefix != CHECKING_TREES {
            return Progress::hidden();
        }
        let client = Arc::clone(&self.0);
        let holders = Arc::strong_count(&client);
        Progress::new(Reading { client, holders })
    }
}

impl<T: Send + Sync + 'static> RusticProgress for Reading<T> {
    fn is_hidden(&self) -> bool {
        true
    }

    fn set_length(&self, _: u64) {}

    fn set_title(&self, _: &str) {}

    fn inc(&self, _: u64) {}

    fn finish(&self) {
        self.wait();
    }
}

impl<T> Reading<T> {
    fn wait(&self) {
        let begun = Instant::now();
        while Arc::strong_count(&self.client) > self.holders && begun.elapsed() < DEADLINE {
            std::thread::park_timeout(LOOK_AGAIN);
        }
    }
}

/// A tree that cannot be read ends the reading without its end being said, while others are still being read.
impl<T> Drop for Reading<T> {
    fn drop(&mut self) {
        self.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Somebody holds the client a while longer; whether they do not any more once `wait` is over.
    fn is_waited_for(wait: impl FnOnce(Progress)) -> bool {
        let client = Arc::new(());
        let loaders = Loaders(Arc::clone(&client));
        let progress = loaders.progress(ProgressType::Counter, CHECKING_TREES);
        let (ended, has_ended) = mpsc::channel();
        let held = Arc::clone(&client);
        let loader = std::thread::spawn(move || {
            std::thread::park_timeout(Duration::from_millis(300));
            ended.send(()).unwrap();
            drop(held);
        });
        wait(progress);
        let is_over = has_ended.try_recv().is_ok();
        loader.join().unwrap();
        is_over
    }

    #[test]
    fn what_has_read_trees_is_waited_for() {
        assert!(is_waited_for(|progress| {
            progress.finish();
            // Its end would wait as well.
            std::mem::forget(progress);
        }));
    }

    #[test]
    fn a_reading_that_breaks_off_waits_as_well() {
        assert!(is_waited_for(drop));
    }

    #[test]
    fn nobody_waits_for_anything_else() {
        let client = Arc::new(());
        let loaders = Loaders(Arc::clone(&client));
        let progress = loaders.progress(ProgressType::Counter, "backing up...");
        assert!(progress.is_hidden());
        let held = Arc::clone(&client);
        let begun = Instant::now();
        progress.finish();
        assert!(begun.elapsed() < DEADLINE);
        drop(held);
    }
}
