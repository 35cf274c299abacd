//! How a stream of unknown length goes from a backup process to the supervisor: in pieces, each with its length before it, and
//! an empty one at the end. One that ends without that has broken off.

use std::io::{self, Write};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes in a piece at most.
pub(crate) const PIECE: usize = 64 * 1024;

/// Writes pieces.
pub(crate) struct Chunks<W: Write> {
    out: W,
    piece: Vec<u8>,
}

impl<W: Write> Chunks<W> {
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            piece: Vec::with_capacity(PIECE),
        }
    }

    /// Writes what is left, and that it is all.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub(crate) fn end(mut self) -> io::Result<()> {
        self.send()?;
        self.out.write_all(&0_u32.to_be_bytes())?;
        self.out.flush()
    }

    fn send(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let length = u32::try_from(self.piece.len()).map_err(io::Error::other)?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(&self.piece)?;
        self.piece.clear();
        Ok(())
    }
}

impl<W: Write> Write for Chunks<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE.saturating_sub(self.piece.len()).min(bytes.len());
        self.piece
            .extend_from_slice(bytes.get(..room).unwrap_or_default());
        if self.piece.len() >= PIECE {
            self.send()?;
        }
        Ok(room)
    }

    /// Whole pieces are sent, and the rest at the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads the next piece; `None` after the last.
///
/// # Errors
/// When it has broken off.
pub(crate) async fn next(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let length = usize::try_from(from.read_u32().await?).unwrap_or(usize::MAX);
    if length == 0 {
        return Ok(None);
    }
    if length > PIECE {
        return Err(io::Error::other("a piece that is too long"));
    }
    let mut piece = vec![0; length];
    from.read_exact(&mut piece).await?;
    Ok(Some(piece))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(mut from: &[u8]) -> io::Result<Vec<u8>> {
        let mut whole = Vec::new();
        while let Some(piece) = next(&mut from).await? {
            assert!(piece.len() <= PIECE);
            whole.extend(piece);
        }
        Ok(whole)
    }

    #[tokio::test]
    async fn a_stream_of_any_length_arrives_whole_or_is_known_to_be_broken() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 5] {
            let bytes: Vec<u8> = (0..length).map(|at| at.to_le_bytes()[0]).collect();
            let mut sent = Vec::new();
            let mut chunks = Chunks::new(&mut sent);
            chunks.write_all(&bytes).unwrap();
            chunks.end().unwrap();
            assert_eq!(read(&sent).await.unwrap(), bytes);
            for cut in [1, 4, 5].into_iter().filter(|cut| *cut <= sent.len()) {
                let sent = &sent[..sent.len() - cut];
                assert!(read(sent).await.is_err(), "{length} without the last {cut}");
            }
        }
        assert!(read(&[0xff; 8]).await.is_err());
    }
}
