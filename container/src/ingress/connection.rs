//! A connection to the gateway on which a write that fails is not the end: a gateway that closes it while a request is
//! still being sent has answered before, as a rule, and the answer waits to be read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose writes are thrown away once the other side reads nothing any more.
pub(crate) struct Connection<S> {
    stream: S,
    /// The other side reads nothing any more: what is written goes nowhere.
    deaf: bool,
    /// Nothing more comes from the other side either.
    ended: bool,
}

impl<S> Connection<S> {
    /// Wraps a connection that was just made.
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            deaf: false,
            ended: false,
        }
    }

    /// What becomes of a write of `length` bytes.
    fn written(&mut self, length: usize, outcome: io::Result<usize>) -> io::Result<usize> {
        match outcome {
            Err(_) if !self.ended => {
                self.deaf = true;
                Ok(length)
            }
            outcome => outcome,
        }
    }

    fn swallows(&self) -> bool {
        self.deaf && !self.ended
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let outcome = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        self.ended |= outcome.is_err() || (room > 0 && buffer.filled().len() == before);
        Poll::Ready(outcome)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.swallows() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let outcome = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        Poll::Ready(self.written(bytes.len(), outcome))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = pieces.iter().map(|piece| piece.len()).sum();
        if self.swallows() {
            return Poll::Ready(Ok(length));
        }
        let outcome = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, pieces));
        Poll::Ready(self.written(length, outcome))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.swallows() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test(flavor = "current_thread")]
    async fn an_answer_is_read_although_the_other_side_hung_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut other, _) = listener.accept().await.unwrap();
        let mut connection = Connection::new(stream);
        connection.write_all(b"unread").await.unwrap();
        other.readable().await.unwrap();
        other.write_all(b"the answer").await.unwrap();
        drop(other);
        // Until the kernel has heard of it, and on.
        let piece = vec![0; 1 << 16];
        while !connection.deaf {
            connection.write_all(&piece).await.unwrap();
        }
        connection.write_all(&piece).await.unwrap();
        connection.flush().await.unwrap();
        let mut answer = [0; 10];
        connection.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"the answer");
        // The end is an end: what is left of an upgraded connection must not be written into nothing for ever.
        assert!(!matches!(connection.read(&mut answer).await, Ok(1..)));
        assert!(connection.write_all(&piece).await.is_err());
    }
}
