//! The backup process's one way out: lines of JSON on its standard output.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use moltworker_core::control::Progress;

use super::wire::Line;

/// Between two words about progress: often enough for a page that somebody watches.
const TICK: Duration = Duration::from_millis(500);

/// Says something to the supervisor. One that does not listen any more has no use for it.
pub(crate) fn say(line: &Line) {
    if let Ok(mut text) = serde_json::to_vec(line) {
        text.push(b'\n');
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(&text).and_then(|()| out.flush());
    }
}

/// Says something that is worth a line in the log.
pub(crate) fn note(text: &str) {
    say(&Line::Note(text.to_owned()));
}

/// Says how far something is, again and again, until it is dropped.
pub(crate) struct Ticker {
    over: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Begins to say it.
    pub(crate) fn start(progress: impl Fn() -> Progress + Send + 'static) -> Self {
        let over = Arc::new((Mutex::new(false), Condvar::new()));
        let until = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let (is_over, changed) = &*until;
            let mut is_over = is_over.lock().unwrap_or_else(PoisonError::into_inner);
            while !*is_over {
                say(&Line::Progress(progress()));
                let waited = changed.wait_timeout(is_over, TICK);
                is_over = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        });
        Self {
            over,
            thread: Some(thread),
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        *self.over.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.over.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say that matters any more.
            let _ = thread.join();
        }
    }
}
