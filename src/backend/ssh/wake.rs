//! A self-pipe: how an async task wakes a session's thread out of `poll`.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::Arc,
};

/// Wakes one thread; cheap to clone and to call too often.
#[derive(Debug, Clone)]
pub(super) struct Waker(Arc<UnixStream>);

/// The thread's end: becomes readable when woken.
#[derive(Debug)]
pub(super) struct Sleeper(UnixStream);

pub(super) fn pair() -> io::Result<(Waker, Sleeper)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    Ok((Waker(Arc::new(ours)), Sleeper(theirs)))
}

impl Waker {
    pub(super) fn wake(&self) {
        // A full pipe has already woken it; a closed one has no thread left to wake.
        let _ = (&*self.0).write(&[1]);
    }
}

impl Sleeper {
    /// Forgets the wake-ups received so far.
    pub(super) fn drain(&self) {
        let mut buffer = [0; 64];
        while matches!((&self.0).read(&mut buffer), Ok(n) if n > 0) {}
    }
}

impl AsFd for Sleeper {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Wakes when dropped: tells the thread that whoever waited has gone.
#[derive(Debug, Clone)]
pub(super) struct WakeOnDrop(pub(super) Waker);

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        self.0.wake();
    }
}
