//! What runs over an open channel: a command to its end, or a terminal.

use std::{
    io::{self, Write as _},
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

use rustix::event::PollFlags;
use ssh2::Channel;
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

use super::{
    link::{Mishap, Printed},
    login::would_block,
};
use crate::{
    domain::Clean,
    port::shell::{ShellInput, ShellOutput},
};

/// The most that is kept of what a command prints, both streams together.
pub(super) const MOST_OUTPUT: usize = 4 << 20;

/// How long a closed channel may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// What one pass over a lane came to.
pub(super) enum Step {
    /// Something came from the far side.
    Heard,
    /// Something else moved.
    Moved,
    Idle,
    /// It was given up while the far side runs it.
    Left,
    Done,
    /// The connection itself is broken.
    Broken(Clean),
}

/// Something that runs over one channel, a non-blocking step at a time.
pub(super) trait Lane {
    fn step(&mut self) -> Step;

    /// Whether it would take more from the far side now.
    fn wants_data(&self) -> bool {
        true
    }

    /// When it must be stepped at the latest.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// A second socket to watch.
    fn side(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        None
    }

    /// The connection ended under it.
    fn lost(&mut self, why: &Clean);
}

/// A read that would block is `None`; the end of the stream is `Some(0)`.
pub(super) fn read(from: &mut impl io::Read, into: &mut [u8]) -> Result<Option<usize>, Clean> {
    match from.read(into) {
        Ok(n) => Ok(Some(n)),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(e) => Err(Clean::new(format!("the connection broke off ({e})"))),
    }
}

/// A command whose output is gathered.
pub(super) struct Exec {
    channel: Channel,
    reply: Option<oneshot::Sender<Result<Printed, Mishap>>>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Its input was ended: a command that reads it finds nothing.
    ended: bool,
    /// What it printed, once it has ended. Told when the goodbye is on its way, which comes before whatever is asked
    /// next: the far side counts a channel as open until then.
    printed: Option<Printed>,
    closing: Option<Instant>,
}

impl Exec {
    pub(super) fn new(channel: Channel, reply: oneshot::Sender<Result<Printed, Mishap>>) -> Self {
        let (stdout, stderr) = (Vec::new(), Vec::new());
        Self { channel, reply: Some(reply), stdout, stderr, ended: false, printed: None, closing: None }
    }

    fn answer(&mut self, answer: Result<Printed, Mishap>) {
        if let Some(reply) = self.reply.take() {
            let _ = reply.send(answer);
        }
        self.closing = Some(Instant::now() + GOODBYE);
    }

    fn gather(&mut self) -> Result<bool, Clean> {
        let mut buffer = [0; 16 * 1024];
        let mut moved = false;
        for (stream, kept) in [(0, &mut self.stdout), (1, &mut self.stderr)] {
            while let Some(n) = read(&mut self.channel.stream(stream), &mut buffer)? {
                if n == 0 {
                    break;
                }
                kept.extend_from_slice(&buffer[..n]);
                moved = true;
                if kept.len() > MOST_OUTPUT {
                    break;
                }
            }
        }
        Ok(moved)
    }

    fn run(&mut self) -> Result<Step, Clean> {
        if self.reply.as_ref().is_some_and(oneshot::Sender::is_closed) {
            self.answer(Err(Mishap::TooMuch));
            return Ok(Step::Left);
        }
        if !self.ended {
            self.ended = !self.channel.send_eof().is_err_and(|e| would_block(&e));
        }
        let moved = self.gather()?;
        if self.stdout.len() + self.stderr.len() > MOST_OUTPUT {
            self.answer(Err(Mishap::TooMuch));
            return Ok(Step::Left);
        }
        if self.channel.eof() {
            // The exit status comes between the end of the output and the channel's close.
            match self.channel.wait_close() {
                Ok(()) => {
                    self.printed = Some(Printed {
                        code: code(&self.channel),
                        stdout: std::mem::take(&mut self.stdout),
                        stderr: std::mem::take(&mut self.stderr),
                    });
                    self.closing = Some(Instant::now() + GOODBYE);
                    return Ok(Step::Moved);
                }
                Err(e) if would_block(&e) => {}
                Err(e) => return Err(Clean::new(e.message())),
            }
        }
        Ok(if moved { Step::Heard } else { Step::Idle })
    }
}

impl Lane for Exec {
    fn step(&mut self) -> Step {
        let step = match self.closing {
            Some(until) => close(&mut self.channel, until),
            None => return self.run().unwrap_or_else(Step::Broken),
        };
        if matches!(step, Step::Done)
            && let Some(printed) = self.printed.take()
        {
            self.answer(Ok(printed));
        }
        step
    }

    fn deadline(&self) -> Option<Instant> {
        self.closing
    }

    fn lost(&mut self, why: &Clean) {
        // A command that had ended is no less done for it.
        let answer = self.printed.take().ok_or_else(|| Mishap::Lost(why.clone()));
        self.answer(answer);
    }
}

/// The exit code; `None` after a signal.
fn code(channel: &Channel) -> Option<i32> {
    match channel.exit_signal() {
        Ok(signal) if signal.exit_signal.is_some() => None,
        _ => channel.exit_status().ok(),
    }
}

/// A shell's number for the end of a program: its code, or 128 and the signal.
fn shell_code(channel: &Channel) -> i32 {
    let signal = channel.exit_signal().ok().and_then(|s| s.exit_signal);
    match signal.as_deref() {
        None => channel.exit_status().unwrap_or(255),
        Some("HUP") => 129,
        Some("INT") => 130,
        Some("QUIT") => 131,
        Some("ABRT") => 134,
        Some("KILL") => 137,
        Some("SEGV") => 139,
        Some("PIPE") => 141,
        Some("TERM") => 143,
        Some(_) => 255,
    }
}

/// Says goodbye on a channel, for so long and no longer.
pub(super) fn close(channel: &mut Channel, until: Instant) -> Step {
    match channel.close() {
        Err(e) if would_block(&e) && Instant::now() < until => Step::Idle,
        // What cannot be closed goes with the connection.
        _ => Step::Done,
    }
}

/// A terminal, or a command without one: raw bytes both ways, resizes, the exit status at its end.
pub(super) struct Shell {
    channel: Channel,
    /// Without one, standard error is kept apart and sizes mean nothing.
    terminal: bool,
    input: mpsc::Receiver<ShellInput>,
    output: mpsc::Sender<ShellOutput>,
    /// What the far side has not taken yet, and how much of it is through.
    sending: Option<(ShellInput, usize)>,
    /// What the reader has not taken yet.
    showing: Option<ShellOutput>,
    closing: Option<Instant>,
}

impl Shell {
    pub(super) fn new(
        channel: Channel,
        terminal: bool,
        input: mpsc::Receiver<ShellInput>,
        output: mpsc::Sender<ShellOutput>,
    ) -> Self {
        Self { channel, terminal, input, output, sending: None, showing: None, closing: None }
    }

    /// Passes on what was typed; a channel that takes no more input swallows it.
    fn send(&mut self) -> bool {
        let mut moved = false;
        loop {
            let (input, sent) = match self.sending.take() {
                Some(sending) => sending,
                None => match self.input.try_recv() {
                    Ok(input) => (input, 0),
                    Err(_) => return moved,
                },
            };
            let blocked = match &input {
                ShellInput::Bytes(bytes) => match self.channel.write(&bytes[sent..]) {
                    Ok(n) if sent + n < bytes.len() && n > 0 => {
                        self.sending = Some((input, sent + n));
                        moved = true;
                        continue;
                    }
                    Err(e) => e.kind() == io::ErrorKind::WouldBlock,
                    Ok(_) => false,
                },
                ShellInput::Resize(..) if !self.terminal => false,
                ShellInput::Resize(columns, rows) => {
                    let resized = self.channel.request_pty_size((*columns).into(), (*rows).into(), None, None);
                    resized.is_err_and(|e| would_block(&e))
                }
                ShellInput::Eof => self.channel.send_eof().is_err_and(|e| would_block(&e)),
            };
            if blocked {
                self.sending = Some((input, sent));
                return moved;
            }
            moved = true;
        }
    }

    /// Passes on what came until the reader is full or nothing is left.
    fn show(&mut self) -> Result<bool, Clean> {
        let mut buffer = [0; 16 * 1024];
        let mut moved = false;
        loop {
            if let Some(shown) = self.showing.take() {
                match self.output.try_send(shown) {
                    Ok(()) => moved = true,
                    Err(TrySendError::Full(shown)) => {
                        self.showing = Some(shown);
                        return Ok(moved);
                    }
                    Err(TrySendError::Closed(_)) => return Ok(moved),
                }
            }
            if let Some(n) = read(&mut self.channel.stream(0), &mut buffer)?.filter(|n| *n > 0) {
                self.showing = Some(ShellOutput::Bytes(buffer[..n].to_vec()));
                continue;
            }
            let Some(n) = read(&mut self.channel.stream(1), &mut buffer)?.filter(|n| *n > 0) else { return Ok(moved) };
            let bytes = buffer[..n].to_vec();
            self.showing = Some(if self.terminal { ShellOutput::Bytes(bytes) } else { ShellOutput::Stderr(bytes) });
        }
    }

    fn run(&mut self) -> Result<Step, Clean> {
        if self.output.is_closed() {
            self.closing = Some(Instant::now() + GOODBYE);
            // A terminal that goes away hangs up by itself.
            return Ok(if self.terminal { Step::Moved } else { Step::Left });
        }
        let (sent, shown) = (self.send(), self.show()?);
        if self.showing.is_none() && self.channel.eof() {
            match self.channel.wait_close() {
                Ok(()) => {
                    if let Err(TrySendError::Full(exit)) =
                        self.output.try_send(ShellOutput::Exit(shell_code(&self.channel)))
                    {
                        self.showing = Some(exit);
                        return Ok(Step::Idle);
                    }
                    self.closing = Some(Instant::now() + GOODBYE);
                    return Ok(Step::Moved);
                }
                Err(e) if would_block(&e) => {}
                Err(e) => return Err(Clean::new(e.message())),
            }
        }
        Ok(match (shown, sent) {
            (true, _) => Step::Heard,
            (false, true) => Step::Moved,
            (false, false) => Step::Idle,
        })
    }
}

impl Lane for Shell {
    fn step(&mut self) -> Step {
        match self.closing {
            Some(until) => close(&mut self.channel, until),
            None => self.run().unwrap_or_else(Step::Broken),
        }
    }

    fn wants_data(&self) -> bool {
        self.showing.is_none()
    }

    fn deadline(&self) -> Option<Instant> {
        self.closing
    }

    fn lost(&mut self, why: &Clean) {
        if self.closing.is_none() {
            // Room for the last word is kept free by the reader's end; see `ferry`.
            let _ = self.output.try_send(ShellOutput::Lost(why.clone()));
        }
    }
}
