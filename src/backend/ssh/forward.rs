//! A connection made from the far side (`direct-tcpip`), carried over a local socket pair.

use std::{
    io::{self, Read as _, Write as _},
    net::Shutdown,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    time::{Duration, Instant},
};

use rustix::event::PollFlags;
use ssh2::Channel;

use super::{
    lane::{Lane, Step, close, read},
    login::would_block,
};
use crate::domain::Clean;

const BUFFER: usize = 32 * 1024;

/// Bytes on their way, and how many of them have gone.
#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    gone: usize,
}

impl Pending {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.gone..]
    }

    fn is_empty(&self) -> bool {
        self.gone == self.bytes.len()
    }

    fn fill(&mut self, bytes: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.gone = 0;
    }
}

pub(super) struct Forward {
    channel: Channel,
    socket: UnixStream,
    inward: Pending,
    outward: Pending,
    /// The near end has no more to send, and whether the far side was told.
    near_ended: bool,
    told: bool,
    /// The far side has no more to send.
    far_ended: bool,
    closing: Option<Instant>,
    /// What the far side says is heard to its end although the near one has no more to say.
    halves: bool,
}

impl Forward {
    pub(super) fn new(channel: Channel, socket: UnixStream, halves: bool) -> Self {
        Self {
            channel,
            socket,
            inward: Pending::default(),
            outward: Pending::default(),
            near_ended: false,
            told: false,
            far_ended: false,
            closing: None,
            halves,
        }
    }

    fn inwards(&mut self) -> Result<bool, Clean> {
        let mut buffer = [0; BUFFER];
        let mut moved = false;
        while !self.far_ended {
            if self.inward.is_empty() {
                match read(&mut self.channel, &mut buffer)? {
                    Some(n) if n > 0 => self.inward.fill(&buffer[..n]),
                    _ if self.channel.eof() => {
                        self.far_ended = true;
                        let _ = self.socket.shutdown(Shutdown::Write);
                        return Ok(true);
                    }
                    _ => return Ok(moved),
                }
            }
            match self.socket.write(self.inward.rest()) {
                Ok(n) => self.inward.gone += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(moved),
                Err(_) => return Ok(self.hang_up()),
            }
            moved = true;
        }
        Ok(moved)
    }

    fn outwards(&mut self) -> bool {
        let mut buffer = [0; BUFFER];
        let mut moved = false;
        loop {
            if self.outward.is_empty() {
                if self.near_ended {
                    break;
                }
                match self.socket.read(&mut buffer) {
                    Ok(0) => self.near_ended = true,
                    Ok(n) => self.outward.fill(&buffer[..n]),
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => return moved,
                    Err(_) => return self.hang_up(),
                }
                moved = true;
                continue;
            }
            match self.channel.write(self.outward.rest()) {
                Ok(n) => self.outward.gone += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return moved,
                Err(_) => return self.hang_up(),
            }
            moved = true;
        }
        if !self.told {
            match self.channel.send_eof() {
                Err(e) if would_block(&e) => return moved,
                _ => (self.told, moved) = (true, true),
            }
        }
        moved
    }

    /// One end is gone: so is the connection.
    fn hang_up(&mut self) -> bool {
        let _ = self.socket.shutdown(Shutdown::Both);
        self.closing = Some(Instant::now() + Duration::from_secs(5));
        true
    }
}

impl Lane for Forward {
    fn step(&mut self) -> Step {
        if let Some(until) = self.closing {
            return close(&mut self.channel, until);
        }
        let heard = match self.inwards() {
            Ok(heard) => heard,
            Err(why) => return Step::Broken(why),
        };
        let sent = self.outwards();
        // A login session has no use for half a connection.
        if self.closing.is_none() && (self.far_ended || self.told && !self.halves) && self.inward.is_empty() {
            self.hang_up();
            return Step::Moved;
        }
        match (heard, sent) {
            (true, _) => Step::Heard,
            (false, true) => Step::Moved,
            (false, false) => Step::Idle,
        }
    }

    fn wants_data(&self) -> bool {
        self.inward.is_empty()
    }

    fn deadline(&self) -> Option<Instant> {
        self.closing
    }

    fn side(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let mut flags = PollFlags::empty();
        if self.outward.is_empty() && !self.near_ended {
            flags |= PollFlags::IN;
        }
        if !self.inward.is_empty() {
            flags |= PollFlags::OUT;
        }
        (self.closing.is_none() && !flags.is_empty()).then(|| (self.socket.as_fd(), flags))
    }

    fn lost(&mut self, _: &Clean) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}
