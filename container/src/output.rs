//! What the gateway and the supervisor say: passed on to the container's output, and the last lines of
//! the gateway kept for the control port. Known secrets are taken out before a line goes anywhere, and what a reader of logs
//! could take for another line, for a colour or for the supervisor's word is made visible.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;

/// Lines that are kept, and bytes of them at most: a bot that prints megabytes must not grow PID 1.
const KEPT_LINES: usize = 2_000;
const KEPT_BYTES: usize = 256 * 1024;
/// Longer lines lose their end.
const LINE_BYTES: usize = 8 * 1024;
/// How much is read at a time, and with it how far past [`LINE_BYTES`] a line is looked at: a secret that
/// begins within the line is found whole.
const CHUNK_BYTES: usize = 4 * 1024;
/// Lines on their way to the container's output. When nobody reads that, further lines are counted, not
/// waited for: PID 1 must never stand still for a reader of logs.
const QUEUED_LINES: usize = 256;
/// Secrets that are learned and still looked for: tokens, which hold for an hour. Once a minute one comes, and some more with
/// orders and renewals; each is looked for in every line.
const LEARNED_SECRETS: usize = 128;
/// How long the last lines may take at the end.
const LAST_LINES: Duration = Duration::from_secs(1);
const HIDDEN: &str = "[hidden]";
/// What the supervisor's own lines begin with.
const OWN: &str = "supervisor: ";
/// What a line of the gateway's gets in front that begins like one of the supervisor's.
const NOT_OWN: &str = "gateway: ";

/// Where a line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// The gateway's output: standard output.
    Gateway,
    /// The supervisor's own words: standard error.
    Supervisor,
}

/// The one place lines go through.
pub(crate) struct Logs {
    /// Those that are known from the start.
    secrets: Vec<String>,
    /// Those that came later, the newest last.
    learned: Mutex<VecDeque<String>>,
    said_once: Mutex<BTreeSet<&'static str>>,
    kept: Mutex<StoredLines>,
    /// The number of the next line, for those who follow.
    next: watch::Sender<u64>,
    queue: SyncSender<(Channel, String)>,
    lost: AtomicU64,
}

/// Waits for the last lines to be written.
pub(crate) struct Printer {
    done: Receiver<()>,
}

#[derive(Default)]
struct StoredLines {
    lines: VecDeque<String>,
    bytes: usize,
    /// The number of the first line that is kept.
    first: u64,
}

impl Logs {
    /// Starts the thread that calls `print` for each line. `secrets` never get that far.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(
        secrets: Vec<String>,
        mut print: impl FnMut(Channel, &str) + Send + 'static,
    ) -> io::Result<(Arc<Self>, Printer)> {
        let (queue, lines) = sync_channel::<(Channel, String)>(QUEUED_LINES);
        let (alive, done) = sync_channel(0);
        std::thread::Builder::new()
            .name("printer".into())
            .stack_size(64 * 1024)
            .spawn(move || {
                let _alive = alive;
                for (channel, line) in lines {
                    print(channel, &line);
                }
            })?;
        let logs = Self {
            secrets,
            learned: Mutex::default(),
            said_once: Mutex::default(),
            kept: Mutex::default(),
            next: watch::Sender::new(0),
            queue,
            lost: AtomicU64::new(0),
        };
        Ok((Arc::new(logs), Printer { done }))
    }

    /// Says something in the supervisor's own name.
    pub(crate) fn say(&self, what: &str) {
        let what = visible(&self.redacted(what));
        self.pass_on(Channel::Supervisor, format!("{OWN}{what}"));
    }

    /// The same, and not again in this run.
    pub(crate) fn say_once(&self, what: &'static str) {
        let mut said = self.said_once.lock().unwrap_or_else(PoisonError::into_inner);
        if said.insert(what) {
            drop(said);
            self.say(what);
        }
    }

    /// From now on this is a secret as well. Those before it still are, up to [`LEARNED_SECRETS`]: what was said under one may be
    /// repeated.
    pub(crate) fn hide(&self, secret: &str) {
        if self.secrets.iter().any(|known| known == secret) {
            return;
        }
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        learned.retain(|known| known != secret);
        learned.push_back(secret.to_owned());
        if learned.len() > LEARNED_SECRETS {
            learned.pop_front();
        }
    }

    /// Takes one line of the gateway's output.
    fn take(&self, line: &[u8]) {
        let mut line = visible(&self.redacted(&String::from_utf8_lossy(line)));
        if line.trim_start().starts_with(OWN.trim_end()) {
            line.insert_str(0, NOT_OWN);
        }
        if line.len() > LINE_BYTES {
            line.truncate(line.floor_char_boundary(LINE_BYTES));
            line.push('…');
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(line.clone());
        let next = kept.next();
        drop(kept);
        self.next.send_replace(next);
        self.pass_on(Channel::Gateway, line);
    }

    /// The last `count` lines, oldest first, each ended by a newline.
    pub(crate) fn last(&self, count: usize) -> String {
        self.since(self.before_last(count)).0
    }

    /// The lines that are kept from this number on, and the number of the next one.
    pub(crate) fn since(&self, number: u64) -> (String, u64) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let skipped = usize::try_from(number.saturating_sub(kept.first)).unwrap_or(usize::MAX);
        let lines = kept.lines.iter().skip(skipped);
        (lines.flat_map(|line| [line, "\n"]).collect(), kept.next())
    }

    /// The number of the first of the last `count` lines; with 0, of the next one to come.
    pub(crate) fn before_last(&self, count: usize) -> u64 {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let count = u64::try_from(count.min(kept.lines.len())).unwrap_or(0);
        kept.next().saturating_sub(count)
    }

    /// Changes with each line.
    pub(crate) fn next(&self) -> watch::Receiver<u64> {
        self.next.subscribe()
    }

    /// Follows one output of the gateway to its end.
    pub(crate) async fn follow(self: Arc<Self>, mut output: impl AsyncRead + Unpin) {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut line = Vec::new();
        while let Ok(count @ 1..) = output.read(&mut chunk).await {
            let read = chunk.get(..count).unwrap_or_default();
            let mut parts = read.split(|byte| *byte == b'\n').peekable();
            while let Some(part) = parts.next() {
                if line.len() <= LINE_BYTES {
                    line.extend_from_slice(part);
                }
                if parts.peek().is_some() {
                    self.take(&line);
                    line.clear();
                }
            }
        }
        if !line.is_empty() {
            self.take(&line);
        }
    }

    fn redacted(&self, text: &str) -> String {
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let secrets = self.secrets.iter().chain(learned.iter());
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }

    fn pass_on(&self, channel: Channel, line: String) {
        if self.queue.try_send((channel, line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let notice = format!("supervisor: {lost} lines of output were lost because nobody read them");
        if lost > 0 && self.queue.try_send((Channel::Supervisor, notice)).is_err() {
            self.lost.fetch_add(lost, Ordering::Relaxed);
        }
    }
}

/// A line in which every character is seen: one that moves the cursor, ends the line, or turns the direction of writing
/// stands as its escape. Names of files and the gateway's words can have any of them.
fn visible(line: &str) -> String {
    let is_hidden = |character: char| {
        (character.is_control() && character != '\t')
            || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut seen = String::with_capacity(line.len());
    // As terminals do, and as programs mean it that end lines in two characters.
    for character in line.strip_suffix('\r').unwrap_or(line).chars() {
        if is_hidden(character) {
            seen.extend(character.escape_default());
        } else {
            seen.push(character);
        }
    }
    seen
}

impl StoredLines {
    fn push(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.bytes > KEPT_BYTES || self.lines.len() > KEPT_LINES {
            let Some(oldest) = self.lines.pop_front() else {
                break;
            };
            self.bytes -= oldest.len();
            self.first += 1;
        }
    }

    /// The number of the next line.
    fn next(&self) -> u64 {
        self.first + u64::try_from(self.lines.len()).unwrap_or(0)
    }
}

impl Printer {
    /// Lets the last lines go out, once every [`Logs`] is dropped.
    pub(crate) fn finish(self) {
        // Either end of the channel closing means the writer is done.
        let (Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected)) =
            self.done.recv_timeout(LAST_LINES);
    }
}

/// Writes to the container's output. That being closed is no reason to stop a bot: the line is lost.
pub(crate) fn print(channel: Channel, line: &str) {
    let text = format!("{line}\n");
    let _ = match channel {
        Channel::Gateway => {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        }
        Channel::Supervisor => io::stderr().lock().write_all(text.as_bytes()),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs() -> Arc<Logs> {
        Logs::start(vec!["s3cret-token".into()], |_, _| {}).unwrap().0
    }

    #[tokio::test(flavor = "current_thread")]
    async fn log_lines_are_stored_complete_and_in_order() {
        let logs = logs();
        Arc::clone(&logs).follow(&b"one\ntwo\n\nfour"[..]).await;
        assert_eq!(logs.last(10), "one\ntwo\n\nfour\n");
        assert_eq!(logs.last(1), "four\n");
        assert_eq!(logs.last(0), "");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn log_lines_can_be_followed() {
        let logs = logs();
        Arc::clone(&logs).follow(&b"one\ntwo\n"[..]).await;
        let here = logs.before_last(0);
        assert_eq!(logs.since(here), (String::new(), 2));
        assert_eq!(logs.before_last(1), 1);
        Arc::clone(&logs).follow(&b"three\nfour\n"[..]).await;
        assert_eq!(logs.since(here), ("three\nfour\n".into(), 4));
        assert_eq!(*logs.next().borrow(), 4);
        // What is no longer kept is left out, and the numbers go on.
        Arc::clone(&logs)
            .follow("x\n".repeat(KEPT_LINES).as_bytes())
            .await;
        let (all, next) = logs.since(here);
        assert_eq!((all.lines().count(), next), (KEPT_LINES, 4 + KEPT_LINES as u64));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_known_secret_is_redacted_from_the_log() {
        let (printed, lines) = std::sync::mpsc::channel();
        let (logs, printer) = Logs::start(vec!["s3cret-token".into()], move |channel, line| {
            printed.send((channel, line.to_owned())).unwrap();
        })
        .unwrap();
        let at_the_cut = format!("{}s3cret-token and more", "x".repeat(LINE_BYTES - 4));
        let text = format!("Authorization: Bearer s3cret-token\n{at_the_cut}\n");
        Arc::clone(&logs).follow(text.as_bytes()).await;
        logs.say("s3cret-token");
        let kept = logs.last(10);
        drop(logs);
        printer.finish();
        let printed: Vec<_> = lines.iter().collect();
        assert_eq!(printed.len(), 3);
        assert_eq!(
            printed[2],
            (Channel::Supervisor, "supervisor: [hidden]".to_owned())
        );
        assert!(kept.starts_with("Authorization: Bearer [hidden]\n"));
        assert!(!kept.contains("s3c"));
        assert!(!printed.iter().any(|(_, line)| line.contains("s3c")));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_secret_that_is_learned_later_is_redacted_too() {
        let logs = logs();
        logs.hide("renewed-token");
        logs.hide("renewed-token");
        Arc::clone(&logs)
            .follow(&b"s3cret-token, renewed-token\n"[..])
            .await;
        assert_eq!(logs.last(1), "[hidden], [hidden]\n");
        assert_eq!(logs.learned.lock().unwrap().len(), 1);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn only_secrets_that_may_still_be_good_are_looked_for() {
        let logs = logs();
        logs.hide("first-token");
        for number in 0..LEARNED_SECRETS - 1 {
            logs.hide(&format!("token-{number:03}"));
            logs.hide("s3cret-token");
        }
        assert_eq!(logs.redacted("first-token"), HIDDEN);
        // One that is heard again is as good as new.
        logs.hide("first-token");
        for number in 0..10 * LEARNED_SECRETS {
            logs.hide(&format!("later-{number:04}"));
            logs.hide("first-token");
        }
        assert_eq!(logs.learned.lock().unwrap().len(), LEARNED_SECRETS);
        let text = "s3cret-token first-token later-1279 token-000";
        assert_eq!(logs.redacted(text), "[hidden] [hidden] [hidden] token-000");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn no_output_passes_for_another_line_or_the_supervisors() {
        let (printed, lines) = std::sync::mpsc::channel();
        let (logs, printer) = Logs::start(vec![], move |channel, line| {
            printed.send((channel, line.to_owned())).unwrap();
        })
        .unwrap();
        let output =
            "a\rsupervisor: b\x1b[2J\x07\u{9b}\tc\u{202e}\r\nsupervisor: forged\n  supervisor:\ncaf\u{e9}\n";
        Arc::clone(&logs).follow(output.as_bytes()).await;
        logs.say("no file named x\nsupervisor: forged");
        let kept = logs.last(10);
        assert_eq!(
            kept,
            "a\\rsupervisor: b\\u{1b}[2J\\u{7}\\u{9b}\tc\\u{202e}\ngateway: supervisor: forged\ngateway:   supervisor:\ncaf\u{e9}\n"
        );
        drop(logs);
        printer.finish();
        let printed: Vec<_> = lines.iter().collect();
        let own = "supervisor: no file named x\\nsupervisor: forged".to_owned();
        assert_eq!(printed.last(), Some(&(Channel::Supervisor, own)));
        assert!(
            printed
                .iter()
                .all(|(_, line)| !line.contains(['\n', '\r', '\x1b']))
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_stored_log_is_bounded() {
        let logs = logs();
        let endless_line = vec![b'x'; 1024 * 1024];
        Arc::clone(&logs).follow(&endless_line[..]).await;
        assert!(logs.last(10).len() < LINE_BYTES + 8);
        Arc::clone(&logs)
            .follow("short\n".repeat(10_000).as_bytes())
            .await;
        assert_eq!(logs.last(usize::MAX).lines().count(), KEPT_LINES);
        Arc::clone(&logs)
            .follow(format!("{}\n", "y".repeat(4000)).repeat(200).as_bytes())
            .await;
        assert!(logs.last(usize::MAX).len() <= KEPT_BYTES + KEPT_LINES);
    }

    #[test]
    fn an_unread_output_does_not_block_the_gateway() {
        let (go_on, wait) = sync_channel::<()>(0);
        let (printed, lines) = std::sync::mpsc::channel();
        let (logs, printer) = Logs::start(vec![], move |_, line| {
            wait.recv().unwrap_or_default();
            printed.send(line.to_owned()).unwrap();
        })
        .unwrap();
        for number in 0..QUEUED_LINES * 2 {
            logs.say(&number.to_string());
        }
        drop(go_on);
        let first = lines.iter().next();
        assert_eq!(first.as_deref(), Some("supervisor: 0"));
        // Room again: the next line tells of the lost ones.
        while !lines.try_iter().any(|line| line.contains("were lost")) {
            logs.say("next");
            std::thread::yield_now();
        }
        drop(logs);
        printer.finish();
    }
}
