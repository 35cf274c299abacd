//! The backup process's one way out: lines of JSON on its standard output.

use std::io::{self, BufRead, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use moltworker_core::wire::control::Progress;

use super::wire::{JobAnswer, Line};

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

/// Asks the supervisor for something and waits for its answer.
///
/// # Errors
/// When there is none.
pub(crate) fn ask(line: &Line) -> io::Result<JobAnswer> {
    say(line);
    let mut text = Vec::new();
    std::io::stdin().lock().read_until(b'\n', &mut text)?;
    serde_json::from_slice(&text).map_err(io::Error::from)
}

/// Says something that is worth a line in the log.
pub(crate) fn note(text: &str) {
    say(&Line::Note(text.to_owned()));
}

/// Bytes this process reads and writes until that counts as a piece of work. More by far than it writes by saying things:
/// a hang must not feed itself.
const PIECE: u64 = 16 * 1024 * 1024;
/// Where the kernel counts them.
const COUNTS: &str = "/proc/self/io";

/// What other processes have done for this one.
static DONE: AtomicU64 = AtomicU64::new(0);

/// Counts a piece of work that another process has done for this one.
pub(crate) fn count_piece() {
    DONE.fetch_add(1, Ordering::Relaxed);
}

/// How many pieces this process has read and written, and others have done for it: copies and checks of databases, which
/// say nothing else for as long as they take. Of its own none where the kernel does not count.
pub(crate) fn pieces() -> u64 {
    let counts = std::fs::read_to_string(COUNTS).unwrap_or_default();
    let count = |line: &str| {
        let (name, count) = line.split_once(": ")?;
        matches!(name, "rchar" | "wchar").then(|| count.parse::<u64>().ok())?
    };
    counts
        .lines()
        .filter_map(count)
        .fold(0, u64::saturating_add)
        .checked_div(PIECE)
        .unwrap_or(0)
        .saturating_add(DONE.load(Ordering::Relaxed))
}

/// Says how far something is whenever that has changed, until it is dropped.
pub(crate) struct Ticker {
    over: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Begins to say it.
    pub(crate) fn start(progress: impl Fn() -> Progress + Send + 'static) -> Self {
        Self::reporting(move || Line::Progress(progress()))
    }

    /// Begins to say what `line` gives.
    pub(crate) fn reporting(line: impl Fn() -> Line + Send + 'static) -> Self {
        let over = Arc::new((Mutex::new(false), Condvar::new()));
        let until = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let (is_over, changed) = &*until;
            let mut is_over = is_over.lock().unwrap_or_else(PoisonError::into_inner);
            let mut said = None;
            while !*is_over {
                let now = line();
                if said.as_ref() != Some(&now) {
                    say(&now);
                    said = Some(now);
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn bytes_read_count_as_progress() {
        if !std::path::Path::new(COUNTS).exists() {
            return;
        }
        let before = pieces();
        let mut zeros = std::fs::File::open("/dev/zero").unwrap().take(2 * PIECE);
        std::io::copy(&mut zeros, &mut std::io::sink()).unwrap();
        assert!(pieces() > before);
    }
}
