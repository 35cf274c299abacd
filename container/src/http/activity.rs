//! Whether the owner uses the bot: what their traffic has open, and when it last did something. The Sandbox
//! puts a bot to sleep by these numbers.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use moltworker_core::wire::control::OpenTraffic;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::http::frames::Frames;

/// Where the gateway says how it is. Whoever asks there watches the bot and does not use it.
const HEALTH_CHECKS: [&str; 6] = [
    "/health",
    "/healthz",
    "/startup",
    "/startupz",
    "/ready",
    "/readyz",
];

/// The numbers, shared by all connections.
pub(crate) struct Activity {
    since: Instant,
    /// Milliseconds after `since` at which the owner's traffic last did something.
    last: AtomicU64,
    requests: AtomicU32,
    upgrades: AtomicU32,
    total: AtomicU64,
}

impl Activity {
    /// A bot that was just started was just used: by whoever wanted it.
    pub(crate) fn new(since: Instant) -> Arc<Self> {
        Arc::new(Self {
            since,
            last: AtomicU64::new(0),
            requests: AtomicU32::new(0),
            upgrades: AtomicU32::new(0),
            total: AtomicU64::new(0),
        })
    }

    /// Counts a request to `path` until it is dropped; health checks do not count.
    pub(crate) fn request(self: &Arc<Self>, path: &str) -> Option<OpenRequest> {
        if HEALTH_CHECKS.contains(&path) {
            return None;
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
        self.touch();
        Some(OpenRequest(Arc::clone(self)))
    }

    /// Counts a WebSocket until it is dropped, and watches what its client says.
    pub(crate) fn web_socket<S>(self: &Arc<Self>, client: S) -> Watched<S> {
        self.upgrades.fetch_add(1, Ordering::Relaxed);
        self.touch();
        Watched {
            client,
            frames: Frames::default(),
            activity: Arc::clone(self),
        }
    }

    /// Milliseconds since the owner's traffic last did something.
    pub(crate) fn idle_ms(&self) -> u64 {
        self.now().saturating_sub(self.last())
    }

    /// When the owner's traffic last did something, in milliseconds after the supervisor's start.
    pub(crate) fn last(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    /// What is open.
    pub(crate) fn open(&self) -> OpenTraffic {
        OpenTraffic {
            requests: self.requests.load(Ordering::Relaxed),
            upgrades: self.upgrades.load(Ordering::Relaxed),
        }
    }

    /// Requests there ever were.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    fn touch(&self) {
        self.last.fetch_max(self.now(), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A request without its whole answer yet.
pub(crate) struct OpenRequest(Arc<Activity>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
        self.0.touch();
    }
}

/// The client's side of a WebSocket. What passes is only looked at.
pub(crate) struct Watched<S> {
    client: S,
    frames: Frames,
    activity: Arc<Activity>,
}

impl<S> Drop for Watched<S> {
    fn drop(&mut self) {
        // No touch: a client that was lost long ago is noticed at any time.
        self.activity.upgrades.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.client).poll_read(context, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        if self.frames.pass(new) {
            self.activity.touch();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.client).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.client).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.client).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    fn long_ago() -> Arc<Activity> {
        Activity::new(Instant::now() - Duration::from_secs(3_600))
    }

    #[test]
    fn a_request_counts_as_activity_until_it_ends() {
        let activity = long_ago();
        assert!(activity.idle_ms() >= 3_600_000);
        let request = activity.request("/chat");
        assert_eq!(activity.open().requests, 1);
        assert!(activity.idle_ms() < 60_000);
        activity.last.store(0, Ordering::Relaxed);
        drop(request);
        assert_eq!(activity.open().requests, 0);
        assert!(activity.idle_ms() < 60_000, "an answer that ends is activity");
    }

    #[test]
    fn a_health_probe_does_not_count_as_activity() {
        let activity = long_ago();
        for path in HEALTH_CHECKS {
            assert!(activity.request(path).is_none());
        }
        assert_eq!((activity.open().requests, activity.total()), (0, 0));
        assert!(activity.idle_ms() >= 3_600_000);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn data_frames_count_as_activity_and_pings_do_not() {
        for (said, counts) in [
            (&[0x89, 0x80, 1, 2, 3, 4][..], false),
            (&[0x81, 0x81, 1, 2, 3, 4, 9], true),
        ] {
            let activity = long_ago();
            let (mut client, server) = tokio::io::duplex(64);
            let mut watched = activity.web_socket(server);
            assert_eq!(activity.open().upgrades, 1);
            activity.last.store(0, Ordering::Relaxed);
            client.write_all(said).await.unwrap();
            let mut read = vec![0; said.len()];
            watched.read_exact(&mut read).await.unwrap();
            assert_eq!(read, said);
            assert_eq!(activity.idle_ms() < 60_000, counts, "{said:?}");
            drop(watched);
            assert_eq!(activity.open().upgrades, 0);
        }
    }
}
