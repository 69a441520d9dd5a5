//! One SSH connection and the thread that owns it.
//!
//! libssh2 locks a whole session during a blocking read, so a session belongs to exactly one
//! thread, never blocks, and is talked to through a bounded channel. Dropping the last handle
//! ends the connection.

use std::{
    os::{fd::OwnedFd, unix::net::UnixStream},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::{
    login::{Login, log_in},
    pump::Pump,
    wake::{self, WakeOnDrop},
};
use crate::{
    domain::Clean,
    port::shell::{ShellError, ShellInput, ShellOutput, Tty},
};

/// What a session's thread is asked to do.
#[derive(Debug)]
pub(super) enum Request {
    Exec {
        command: String,
        reply: oneshot::Sender<Result<Printed, Mishap>>,
    },
    /// A terminal, or a command without one.
    Shell {
        tty: Option<Tty>,
        command: Option<String>,
        opened: oneshot::Sender<Result<(), Mishap>>,
        input: mpsc::Receiver<ShellInput>,
        output: mpsc::Sender<ShellOutput>,
    },
    /// A connection from the far side, carried over `socket`.
    Forward {
        to: Whither,
        socket: UnixStream,
        opened: oneshot::Sender<Result<(), Mishap>>,
    },
}

/// Where a connection from the far side leads.
#[derive(Debug)]
pub(super) enum Whither {
    Port(String, u16),
    /// A Unix socket there; each direction ends by itself.
    Socket(String),
}

impl Request {
    /// Whether nobody waits for it any more.
    pub(super) fn abandoned(&self) -> bool {
        match self {
            Self::Exec { reply, .. } => reply.is_closed(),
            Self::Shell { opened, .. } | Self::Forward { opened, .. } => opened.is_closed(),
        }
    }

    pub(super) fn fail(self, mishap: Mishap) {
        match self {
            Self::Exec { reply, .. } => drop(reply.send(Err(mishap))),
            Self::Shell { opened, .. } | Self::Forward { opened, .. } => drop(opened.send(Err(mishap))),
        }
    }
}

/// What a command printed, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Printed {
    /// `None` when a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// Why a request came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mishap {
    /// The connection was found gone before anything was asked of the far side: asking again over
    /// a new connection cannot do a thing twice.
    Unsent(Clean),
    /// The far side refused: a full channel table, an address it cannot reach.
    Refused(Clean),
    /// The connection broke while it ran.
    Lost(Clean),
    /// It printed more than is kept.
    TooMuch,
}

/// Time limits of an open connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habits {
    /// How often to prove that the connection lives.
    pub(super) keepalive: Duration,
    /// Hearing nothing for this long, with something open, means it is dead.
    pub(super) silence: Duration,
    /// Closed after this long with nothing open.
    pub(super) idle: Duration,
}

/// A handle on a logged-in connection.
#[derive(Debug, Clone)]
pub(super) struct Link {
    requests: mpsc::Sender<Request>,
    /// After `requests`: fields drop in order, so the thread wakes to find the sender gone.
    waker: WakeOnDrop,
}

impl Link {
    /// Logs in over a connected socket, on a new thread. `held` is held as long as the thread lives.
    pub(super) async fn open(
        socket: OwnedFd,
        login: Login,
        habits: Habits,
        held: impl Send + 'static,
    ) -> Result<Self, ShellError> {
        let host = login.host.clone();
        let broken = |e: std::io::Error| ShellError::Broken { host: host.clone(), why: Clean::new(e.to_string()) };
        let (waker, sleeper) = wake::pair().map_err(broken)?;
        let (requests, inbox) = mpsc::channel(16);
        let (ready, logged_in) = oneshot::channel();
        let called_off = WakeOnDrop(waker.clone());
        std::thread::Builder::new()
            .name("ssh".to_owned())
            .spawn(move || {
                let _held = held;
                match log_in(socket, &login, &sleeper, &|| ready.is_closed()) {
                    Ok((session, socket)) => {
                        if ready.send(Ok(())).is_ok() {
                            Pump::new(session, socket, sleeper, inbox, habits).run();
                        }
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
            })
            .map_err(broken)?;
        let outcome = logged_in.await;
        drop(called_off);
        match outcome {
            Ok(Ok(())) => Ok(Self { requests, waker: WakeOnDrop(waker) }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ShellError::Broken { host, why: Clean::new("its connection ended unexpectedly") }),
        }
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    /// Runs a command to its end. Dropping the future closes its channel.
    pub(super) async fn exec(&self, command: &str) -> Result<Printed, Mishap> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Exec { command: command.to_owned(), reply }).await?;
        self.answer(answer).await
    }

    /// Opens a terminal, or without one starts a command; its ends are plain channels, woken by [`Link::wake`].
    pub(super) async fn shell(
        &self,
        tty: Option<&Tty>,
        command: Option<&str>,
        input: mpsc::Receiver<ShellInput>,
        output: mpsc::Sender<ShellOutput>,
    ) -> Result<(), Mishap> {
        let (opened, answer) = oneshot::channel();
        let command = command.map(str::to_owned);
        self.ask(Request::Shell { tty: tty.cloned(), command, opened, input, output }).await?;
        self.answer(answer).await
    }

    /// Connects from the far side; what is returned is this end of the wire.
    pub(super) async fn forward(&self, to: Whither) -> Result<UnixStream, Mishap> {
        let pair = || {
            let (near, far) = UnixStream::pair()?;
            near.set_nonblocking(true)?;
            far.set_nonblocking(true)?;
            std::io::Result::Ok((near, far))
        };
        let (near, socket) = pair().map_err(|e| Mishap::Unsent(Clean::new(e.to_string())))?;
        let (opened, answer) = oneshot::channel();
        self.ask(Request::Forward { to, socket, opened }).await?;
        self.answer(answer).await?;
        Ok(near)
    }

    /// Tells the thread that a channel has something for it, or room again.
    pub(super) fn wake(&self) {
        self.waker.0.wake();
    }

    async fn ask(&self, request: Request) -> Result<(), Mishap> {
        let gone = || Mishap::Unsent(Clean::new("the connection was closed"));
        self.requests.send(request).await.map_err(|_| gone())?;
        self.waker.0.wake();
        Ok(())
    }

    async fn answer<T>(&self, answer: oneshot::Receiver<Result<T, Mishap>>) -> Result<T, Mishap> {
        // Dropped before the answer came: the thread must notice.
        let _called_off = self.waker.clone();
        // The thread answers every request it took; one it never took was never sent.
        answer.await.unwrap_or_else(|_| Err(Mishap::Unsent(Clean::new("the connection was closed"))))
    }
}
