//! Who starts these processes, waits for their answers, and ends them.
//!
//! The thread that walks through a home has given up root's rights, and with them that of ending a process of another
//! user. So a thread that began before that does all of this.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::{BEGUN, DatabaseAnswer, Limits, NotCopied, Request, SUBCOMMAND, Work, bounded, bytes_of};
use crate::backup::worker::say::count_piece;
use crate::confinement::PROGRAM;

/// An answer is a few words and a reason.
const MAX_ANSWER: usize = 4 * 1024;
/// `SIGXCPU`, by which the kernel says that there is no more processor time.
const OUT_OF_TIME: i32 = 24;

/// A database that has not begun to be read by then is not read while the bot stands still: a process starts in a hundredth
/// of a second.
const MAX_BEGIN: Duration = Duration::from_millis(100);

/// See the top of this file.
pub(crate) struct Keeper {
    orders: mpsc::Sender<Ordered>,
    owner: Option<(u32, u32)>,
    time: Duration,
}

/// A piece of work on a database.
pub(crate) struct DatabaseTask<'a> {
    /// What is to be done.
    pub(crate) work: Work,
    /// The directory it lies in.
    pub(crate) directory: &'a OwnedFd,
    /// Its name there.
    pub(crate) name: &'a OsStr,
    /// Bytes in it and its log.
    pub(crate) bytes: u64,
    /// How long is waited for whoever holds it.
    pub(crate) patience: Duration,
}

/// A piece of work on its way to the thread that has it done.
struct Ordered {
    directory: OwnedFd,
    request: Request,
    /// Told when reading has begun, where somebody waits for that.
    begun: Option<mpsc::SyncSender<()>>,
    done: mpsc::SyncSender<DatabaseAnswer>,
}

/// Has a piece of work done; the last is called when it has begun to read, and says whether anybody wants that still.
type Serve = fn(OwnedFd, &Request, &dyn Fn() -> bool) -> DatabaseAnswer;

/// A piece of work that has begun.
pub(crate) struct Pending(mpsc::Receiver<DatabaseAnswer>);

impl Pending {
    /// What comes of it.
    pub(crate) fn wait(self) -> DatabaseAnswer {
        let gone = |_| failed(&io::Error::other("nobody starts processes any more"));
        let answer = self.0.recv().unwrap_or_else(gone);
        count_piece();
        answer
    }
}

impl Keeper {
    /// Begins, with the rights this thread has. The processes get those of `owner`, and for each database `time` beside what
    /// its size takes.
    pub(crate) fn start(owner: Option<(u32, u32)>, time: Duration) -> Self {
        Self::serving(owner, time, attend)
    }

    fn serving(owner: Option<(u32, u32)>, time: Duration, serve: Serve) -> Self {
        let (orders, ordered) = mpsc::channel::<Ordered>();
        std::thread::spawn(move || {
            while let Ok(Ordered {
                directory,
                request,
                begun,
                done,
            }) = ordered.recv()
            {
                // Whoever ordered it waits, or is gone with this process.
                let Some(begun) = begun else {
                    let _ = done.send(serve(directory, &request, &|| true));
                    continue;
                };
                std::thread::spawn(move || {
                    let answer = serve(directory, &request, &move || begun.try_send(()).is_ok());
                    let _ = done.send(answer);
                });
            }
        });
        Self { orders, owner, time }
    }

    /// Has a piece of work begun; nothing where it does not begin at once.
    pub(crate) fn hold(&self, order: &DatabaseTask<'_>) -> Option<Pending> {
        let (begun, has_begun) = mpsc::sync_channel(1);
        let pending = self.send(order, Some(begun)).ok()?;
        has_begun.recv_timeout(MAX_BEGIN).ok()?;
        Some(pending)
    }

    fn send(&self, order: &DatabaseTask<'_>, begun: Option<mpsc::SyncSender<()>>) -> io::Result<Pending> {
        let request = Request {
            work: order.work.clone(),
            name: bytes_of(order.name),
            owner: self.owner,
            limits: Limits::new(&order.work, order.bytes, self.time, order.patience),
        };
        let (done, answered) = mpsc::sync_channel(1);
        let directory = rustix::io::fcntl_dupfd_cloexec(order.directory, 0)?;
        let ordered = Ordered {
            directory,
            request,
            begun,
            done,
        };
        let gone = |_| io::Error::other("nobody starts processes any more");
        self.orders.send(ordered).map_err(gone)?;
        Ok(Pending(answered))
    }

    /// What every database may take beside what its size does.
    pub(crate) fn time(&self) -> Duration {
        self.time
    }

    /// Has a piece of work done, or finds that it is not to be had in its time.
    pub(crate) fn order(&self, order: &DatabaseTask<'_>) -> DatabaseAnswer {
        match self.send(order, None) {
            Ok(pending) => pending.wait(),
            Err(error) => failed(&error),
        }
    }
}

fn failed(error: &io::Error) -> DatabaseAnswer {
    DatabaseAnswer::Not(NotCopied::Failed(format!("no process to read it: {error}")))
}

fn too_long(limits: &Limits) -> DatabaseAnswer {
    let reason = format!("it takes longer than the {:?} it may", limits.cpu);
    DatabaseAnswer::Not(NotCopied::Exceeded(reason))
}

/// Starts a process, and ends it with its answer or its time.
fn attend(directory: OwnedFd, request: &Request, begun: &dyn Fn() -> bool) -> DatabaseAnswer {
    let started = serde_json::to_string(request)
        .map_err(io::Error::from)
        .and_then(|text| {
            Command::new(PROGRAM)
                .args([SUBCOMMAND, &text])
                .env_clear()
                .stdin(Stdio::from(directory))
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
        });
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return failed(&error),
    };
    let said = listen(&mut child, request.limits.wait, begun);
    // One that has closed its output is at its end, or is to be.
    let _ = child.kill();
    let ended = child.wait();
    match said {
        Ok(Some(said)) => {
            if let Some(answer) = parsed(&said) {
                return answer;
            }
            match ended.map(|status| status.signal()) {
                Ok(Some(OUT_OF_TIME)) => too_long(&request.limits),
                Ok(Some(signal)) => {
                    let reason = format!("the process that read it was ended by signal {signal}");
                    DatabaseAnswer::Not(NotCopied::Exceeded(reason))
                }
                Ok(None) | Err(_) => failed(&io::Error::other("it said nothing")),
            }
        }
        Ok(None) => too_long(&request.limits),
        Err(error) => failed(&error),
    }
}

/// An answer, with no more of anybody's words in it than is passed on.
fn parsed(said: &[u8]) -> Option<DatabaseAnswer> {
    let mut answer: DatabaseAnswer = serde_json::from_slice(said).ok()?;
    match &mut answer {
        DatabaseAnswer::Not(
            NotCopied::Damaged(reason)
            | NotCopied::Refused(reason)
            | NotCopied::Exceeded(reason)
            | NotCopied::Failed(reason),
        )
        | DatabaseAnswer::Found(super::CopyCheck::Damaged(reason) | super::CopyCheck::Unchecked(reason)) => {
            *reason = bounded(reason);
        }
        DatabaseAnswer::Found(super::CopyCheck::Sound)
        | DatabaseAnswer::Copied
        | DatabaseAnswer::NeedsWriting
        | DatabaseAnswer::Released(_) => {}
    }
    Some(answer)
}

/// What it says until it closes its output, after [`BEGUN`]; `None` when that takes too long.
fn listen(child: &mut Child, wait: Duration, begun: &dyn Fn() -> bool) -> io::Result<Option<Vec<u8>>> {
    let mut output = child
        .stdout
        .take()
        .ok_or_else(|| io::Error::other("it has no output"))?;
    let until = Instant::now().checked_add(wait);
    let mut said = Vec::new();
    loop {
        let left = until.map_or(wait, |until| until.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return Ok(None);
        }
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        let mut ready = [PollFd::from_borrowed_fd(output.as_fd(), PollFlags::IN)];
        match poll(&mut ready, Some(&left)) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut piece = [0; 1024];
        match output.read(&mut piece) {
            Ok(0) => return Ok(Some(said)),
            Ok(count) => said.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if said.first() == Some(&BEGUN) {
            said.remove(0);
            if !begun() {
                return Err(io::Error::other("it began too late"));
            }
        }
        if said.len() > MAX_ANSWER {
            return Ok(Some(Vec::new()));
        }
    }
}

#[cfg(test)]
static WORK: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

#[cfg(test)]
impl Keeper {
    /// How much those have been given to do that count it.
    pub(crate) fn counted() -> u32 {
        WORK.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// One that copies nothing and counts what it is given to do.
    pub(crate) fn counting() -> Self {
        Self::serving(None, Duration::from_secs(10), |_, _, begun| {
            WORK.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            begun();
            DatabaseAnswer::Copied
        })
    }

    /// One whose work is done by this very process: the tests' binary is no supervisor. What a process of its own gives up is
    /// tested with the real one.
    pub(crate) fn in_this_process() -> Self {
        use std::os::fd::AsRawFd;
        Self::serving(None, Duration::from_secs(10), |directory, request, begun| {
            let directory = format!("/proc/self/fd/{}", directory.as_raw_fd());
            let directory = std::fs::read_link(directory).unwrap();
            match super::sqlite::Target::open(&request.work) {
                Ok(target) => super::sqlite::serve(request, &directory, target, begun),
                Err(not) => DatabaseAnswer::Not(not),
            }
        })
    }
}
