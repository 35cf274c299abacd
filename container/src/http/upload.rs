//! What a client sends with a request: it goes to the gateway as long as the gateway takes it, and is thrown away from then
//! on. A connection that is closed while something unread waits in it takes the answer with it (RFC 9112 §9.6), so a
//! gateway that answers before it has read everything would not be heard.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// How long a client may go on sending once it has its whole answer: until it has read that, what it sends has to go
/// somewhere. The client is the platform, milliseconds away.
const MAX_LINGER: Duration = Duration::from_secs(2);

/// One request and its answer, as far as each has come.
pub(crate) struct Exchange {
    /// Pieces of the upload that were passed on.
    passed: AtomicU64,
    answered: watch::Sender<bool>,
}

/// An answer that is under way. Dropped when it is complete, or nobody waits for it any more.
pub(crate) struct AnswerUnderWay(Arc<Exchange>);

/// The body of a request.
pub(crate) struct Upload {
    body: Option<Incoming>,
    exchange: Arc<Exchange>,
}

impl Exchange {
    /// Begins with a request that has just arrived.
    pub(crate) fn begin(body: Incoming) -> (Arc<Self>, Upload, AnswerUnderWay) {
        let exchange = Arc::new(Self {
            passed: AtomicU64::new(0),
            answered: watch::Sender::new(false),
        });
        let upload = Upload {
            body: Some(body),
            exchange: Arc::clone(&exchange),
        };
        let answer = AnswerUnderWay(Arc::clone(&exchange));
        (exchange, upload, answer)
    }

    /// How many pieces of the upload were passed on.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// Resolves when the answer is complete and nobody takes anything of the upload any more.
    pub(crate) async fn is_over(self: Arc<Self>) {
        self.is_answered().await;
        loop {
            let before = self.passed();
            tokio::time::sleep(MAX_LINGER).await;
            if self.passed() == before {
                return;
            }
        }
    }

    async fn is_answered(&self) {
        // An error would mean that the sender is gone, and it is here.
        let _ = self.answered.subscribe().wait_for(|answered| *answered).await;
    }
}

impl Drop for AnswerUnderWay {
    fn drop(&mut self) {
        self.0.answered.send_replace(true);
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let next = ready!(Pin::new(body).poll_frame(context));
        self.exchange.passed.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

/// Whoever took the upload is gone, or was never there.
impl Drop for Upload {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| !body.is_end_stream());
        // Without a runtime, the supervisor is ending and the connection with it.
        if let (Some(rest), Ok(runtime)) = (rest, Handle::try_current()) {
            runtime.spawn(throw_away(rest, Arc::clone(&self.exchange)));
        }
    }
}

async fn throw_away(mut rest: Incoming, exchange: Arc<Exchange>) {
    let deadline = async {
        exchange.is_answered().await;
        tokio::time::sleep(MAX_LINGER).await;
    };
    let all = async { while let Some(Ok(_)) = rest.frame().await {} };
    tokio::select! {
        () = all => {}
        () = deadline => {}
    }
}
