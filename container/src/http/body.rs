//! What an answer's body can be: the gateway's, our own, or one that goes on for as long as somebody reads it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::sync::mpsc;

use crate::http::activity::OpenRequest;
use crate::http::upload::AnswerUnderWay;

type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer.
pub(crate) struct Body {
    source: Source,
    /// The owner's request is open for as long as its answer is under way.
    _open: Option<OpenRequest>,
    /// And what the client sends has somewhere to go.
    _under_way: Option<AnswerUnderWay>,
}

enum Source {
    Passed(Incoming),
    Own(Option<Bytes>),
    Following(mpsc::Receiver<Bytes>),
    Read(mpsc::Receiver<io::Result<Bytes>>),
}

impl Body {
    /// Our own words.
    pub(crate) fn own(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Source::Own((!bytes.is_empty()).then_some(bytes)).into()
    }

    /// The gateway's answer, as it comes.
    pub(crate) fn passed(body: Incoming) -> Self {
        Source::Passed(body).into()
    }

    /// What is sent, until the sender is dropped.
    pub(crate) fn following(words: mpsc::Receiver<Bytes>) -> Self {
        Source::Following(words).into()
    }

    /// What is read, until the sender is dropped. A failure breaks the answer off, so that nobody takes it for whole.
    pub(crate) fn read(pieces: mpsc::Receiver<io::Result<Bytes>>) -> Self {
        Source::Read(pieces).into()
    }

    /// Keeps a request open until this body has ended.
    pub(crate) fn of(mut self, request: Option<OpenRequest>, answer: AnswerUnderWay) -> Self {
        self._open = request;
        self._under_way = Some(answer);
        self
    }
}

impl From<Source> for Body {
    fn from(source: Source) -> Self {
        Self {
            source,
            _open: None,
            _under_way: None,
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let next = match &mut self.source {
            Source::Passed(body) => {
                ready!(Pin::new(body).poll_frame(context)).map(|frame| frame.map_err(BodyError::from))
            }
            Source::Own(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
            Source::Following(words) => ready!(words.poll_recv(context)).map(|bytes| Ok(Frame::data(bytes))),
            Source::Read(pieces) => {
                let next = ready!(pieces.poll_recv(context));
                next.map(|read| read.map(Frame::data).map_err(BodyError::from))
            }
        };
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Passed(body) => body.is_end_stream(),
            Source::Own(bytes) => bytes.is_none(),
            Source::Following(_) | Source::Read(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Passed(body) => body.size_hint(),
            Source::Own(bytes) => SizeHint::with_exact(
                bytes
                    .as_ref()
                    .map_or(0, |bytes| u64::try_from(bytes.len()).unwrap_or(0)),
            ),
            Source::Following(_) | Source::Read(_) => SizeHint::default(),
        }
    }
}
