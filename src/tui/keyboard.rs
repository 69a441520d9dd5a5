//! Standard input, read by a thread of our own that can be stopped: whoever holds it is the only reader.
//!
//! Knows bytes only. When the terminal goes away the bytes end; nothing here ever spins.

use std::{
    io::{self, PipeWriter},
    thread::JoinHandle,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    stdio,
};
use tokio::sync::mpsc;

/// Standard input, byte by byte, until dropped.
pub struct Keyboard {
    /// What was read, one read at a time; ends when the terminal does.
    pub bytes: mpsc::Receiver<Vec<u8>>,
    /// Closing it wakes the thread.
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Keyboard {
    pub fn start() -> io::Result<Self> {
        let (stopped, stop) = io::pipe()?;
        let (send, bytes) = mpsc::channel(16);
        let thread = std::thread::Builder::new().name("keyboard".into()).spawn(move || {
            let stdin = stdio::stdin();
            let mut buffer = [0; 4096];
            loop {
                let mut ready = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(&stopped, PollFlags::IN)];
                match poll(&mut ready, None) {
                    Err(Errno::INTR) => continue,
                    Err(_) => return,
                    Ok(_) if !ready[1].revents().is_empty() => return,
                    Ok(_) => {}
                }
                // A terminal that hung up is always ready and has nothing to give: 0 or EIO.
                match rustix::io::read(stdin, &mut buffer) {
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    Err(_) | Ok(0) => return,
                    Ok(n) if send.blocking_send(buffer[..n].to_vec()).is_err() => return,
                    Ok(_) => {}
                }
            }
        })?;
        Ok(Self { bytes, stop: Some(stop), thread: Some(thread) })
    }

    /// Reads no more. What was read and not looked at, for whoever reads next.
    pub fn stop(mut self) -> Vec<u8> {
        self.stop = None;
        let mut rest = Vec::new();
        // The thread may wait for room.
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            rest.extend(std::iter::from_fn(|| self.bytes.try_recv().ok()).flatten());
            std::thread::yield_now();
        }
        rest.extend(std::iter::from_fn(|| self.bytes.try_recv().ok()).flatten());
        rest
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        // The thread may wait for room or for keys; neither outlives this.
        self.bytes.close();
        while self.bytes.try_recv().is_ok() {}
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
