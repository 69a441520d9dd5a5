//! Writes what the HTTP library would not: answers that came through the daemon say `Connection: close`
//! and `Connection: Keep-Alive` both, and the connection stays open. A stand-in of the same length
//! goes through the library and gets its real name on the way out.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The header that stands in for the first `Connection`.
pub const STAND_IN: &str = "connectiox";
const WRITTEN: &[u8] = b"\r\nConnectiox: close\r\n";
const MEANT: &[u8] = b"\r\nConnection: close\r\n";

/// A stream that puts the real name in place of the stand-in.
pub struct Hop<S> {
    inner: S,
}

impl<S> Hop<S> {
    /// Around a connection.
    pub fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Hop<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Hop<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        // only a head can hold it, and a head comes at the beginning of what is written
        let head = &buf[..buf.len().min(1024)];
        match head.windows(WRITTEN.len()).position(|part| part == WRITTEN) {
            Some(at) => {
                let mut real = buf.to_vec();
                real[at..at + MEANT.len()].copy_from_slice(MEANT);
                Pin::new(&mut self.inner).poll_write(cx, &real)
            }
            None => Pin::new(&mut self.inner).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        let first = bufs.iter().find(|buf| !buf.is_empty());
        self.poll_write(cx, first.map_or(&[], |buf| buf))
    }

    fn is_write_vectored(&self) -> bool {
        false
    }
}
