//! The loop of a session's thread: opens channels one at a time, moves bytes, and sleeps in `poll`.
//!
//! It never blocks anywhere else and holds nothing without a bound: a channel whose reader is slow
//! is simply not read, and SSH's own window stops the far side.

use std::{
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, poll};
use ssh2::{Channel, DisconnectCode, Session};
use tokio::sync::{mpsc, oneshot};

use super::{
    forward::Forward,
    lane::{Exec, Lane, Shell, Step},
    left::{HANG_UP, WITHIN},
    link::{Habits, Mishap, Printed, Request, Whither},
    login::{interest, timespec, words, would_block},
    wake::Sleeper,
};
use crate::{domain::Clean, port::shell::Tty};

/// What may be on its way to a terminal before it was taken, in bytes: libssh2 would let in 2 MiB, which is minutes of
/// a slow line between Ctrl-C and what it brings about.
const TERMINAL_WINDOW: u32 = 256 << 10;
/// What libssh2 itself asks for.
const PACKET: u32 = 32 << 10;
/// How long a new connection waits for its first use.
const FIRST_USE: Duration = Duration::from_secs(10);

pub(super) struct Pump {
    // Lanes hold channels and go before the session.
    lanes: Vec<Box<dyn Lane>>,
    opening: Option<Opening>,
    session: Session,
    socket: OwnedFd,
    sleeper: Sleeper,
    inbox: mpsc::Receiver<Request>,
    habits: Habits,
    /// Whether a command was given up that may still run.
    left: bool,
    /// The answer to the word that ends such commands, and when it is no longer waited for.
    last_word: Option<(oneshot::Receiver<Result<Printed, Mishap>>, Instant)>,
    /// Whether anything was asked of it yet.
    used: bool,
    /// When something was last open.
    busy: Instant,
    /// When something last came from the far side, or was not listened for.
    heard: Instant,
    next_keepalive: Instant,
}

impl Pump {
    pub(super) fn new(
        session: Session,
        socket: OwnedFd,
        sleeper: Sleeper,
        inbox: mpsc::Receiver<Request>,
        habits: Habits,
    ) -> Self {
        session.set_keepalive(true, u32::try_from(habits.keepalive.as_secs()).unwrap_or(60).max(1));
        let now = Instant::now();
        Self {
            lanes: Vec::new(),
            opening: None,
            session,
            socket,
            sleeper,
            inbox,
            habits,
            left: false,
            last_word: None,
            used: false,
            busy: now,
            heard: now,
            next_keepalive: now + habits.keepalive,
        }
    }

    /// Runs until the connection ends or nobody wants it any more.
    pub(super) fn run(mut self) {
        let why = loop {
            match self.turn() {
                Ok(true) => continue,
                Ok(false) => {}
                Err(why) => break why,
            }
            if self.is_over() {
                break Clean::new("the connection was closed");
            }
            if let Err(why) = self.sleep() {
                break why;
            }
        };
        self.finish(&why);
    }

    /// One pass over everything open; tells whether anything moved. The error ends the connection.
    fn turn(&mut self) -> Result<bool, Clean> {
        let mut moved = false;
        if self.is_idle() {
            // Nobody listened while there was nothing to hear.
            self.heard = Instant::now();
        }
        if self.opening.is_none()
            && let Ok(request) = self.inbox.try_recv()
            && !request.abandoned()
        {
            self.opening = Some(Opening::new(request));
            self.used = true;
        }
        if let Some(opening) = self.opening.take() {
            match opening.step(&self.session)? {
                Progress::Waiting(opening) => self.opening = Some(opening),
                Progress::Open(lane) => {
                    self.lanes.push(lane);
                    moved = true;
                }
                Progress::Over => moved = true,
            }
        }
        let mut at = 0;
        while let Some(lane) = self.lanes.get_mut(at) {
            match lane.step() {
                Step::Heard => {
                    self.heard = Instant::now();
                    (moved, at) = (true, at + 1);
                }
                Step::Moved => (moved, at) = (true, at + 1),
                Step::Idle => at += 1,
                Step::Left => (self.left, moved, at) = (true, true, at + 1),
                Step::Done => {
                    self.lanes.swap_remove(at);
                    moved = true;
                }
                Step::Broken(why) => return Err(why),
            }
        }
        if !self.is_idle() {
            self.busy = Instant::now();
        }
        Ok(self.end_what_was_left() || moved)
    }

    /// Once nobody can ask for anything more: what still runs over there is wanted by nobody.
    fn end_what_was_left(&mut self) -> bool {
        let over = self.inbox.is_closed() && self.inbox.is_empty() && self.opening.is_none();
        if !self.left || !over || self.lanes.iter().any(|lane| lane.deadline().is_none()) {
            return false;
        }
        self.left = false;
        let (reply, answer) = oneshot::channel();
        self.opening = Some(Opening::new(Request::Exec { command: HANG_UP.to_owned(), reply }));
        self.last_word = Some((answer, Instant::now() + WITHIN));
        true
    }

    fn is_idle(&self) -> bool {
        self.lanes.is_empty() && self.opening.is_none()
    }

    /// Whether the connection is no longer wanted.
    fn is_over(&mut self) -> bool {
        if let Some((answer, until)) = &mut self.last_word {
            let waiting = matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Empty));
            return !waiting || Instant::now() >= *until;
        }
        let unattended = self.inbox.is_closed() && self.inbox.is_empty();
        match &self.opening {
            // A channel that will not open cannot be taken back: without the connection only.
            Some(opening) if self.lanes.is_empty() && opening.request.abandoned() && !opening.may_run() => return true,
            Some(_) => return false,
            None => {}
        }
        self.lanes.is_empty() && (unattended || self.busy.elapsed() >= self.idle_limit())
    }

    /// Whoever opened it is about to ask something: it is not closed in between.
    fn idle_limit(&self) -> Duration {
        if self.used { self.habits.idle } else { self.habits.idle.max(FIRST_USE) }
    }

    fn sleep(&mut self) -> Result<(), Clean> {
        let idle = self.is_idle();
        let now = Instant::now();
        let stuck = interest(&self.session).contains(PollFlags::OUT);
        if !idle && !stuck && now >= self.next_keepalive {
            self.next_keepalive = now + self.habits.keepalive;
            match self.session.keepalive_send() {
                Err(e) if !would_block(&e) => return Err(words(&e)),
                _ => {}
            }
        }
        let listening = self.opening.is_some() || self.lanes.iter().any(|lane| lane.wants_data());
        let interest = match interest(&self.session) {
            _ if idle => PollFlags::RDHUP,
            flags if listening => flags,
            flags => flags - PollFlags::IN,
        };
        if listening && now.duration_since(self.heard) >= self.habits.silence {
            return Err(Clean::new(format!("nothing was heard for {} s", self.habits.silence.as_secs())));
        }
        let until = match (idle, listening) {
            (true, _) => self.busy + self.idle_limit(),
            (false, true) => self.next_keepalive.min(self.heard + self.habits.silence),
            (false, false) => self.next_keepalive,
        };
        let until = self.lanes.iter().filter_map(|lane| lane.deadline()).fold(until, Instant::min);
        let until = self.last_word.as_ref().map_or(until, |(_, last)| until.min(*last));
        let timeout = until.saturating_duration_since(now).max(Duration::from_millis(1));

        let mut fds = vec![PollFd::from_borrowed_fd(self.sleeper.as_fd(), PollFlags::IN)];
        fds.extend(
            self.lanes.iter().filter_map(|lane| lane.side()).map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)),
        );
        // A hung-up socket always polls ready: left out when nobody is about to read it.
        if !interest.is_empty() {
            fds.push(PollFd::new(&self.socket, interest));
        }
        match poll(&mut fds, Some(&timespec(timeout))) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(Clean::new(e.to_string())),
        }
        let seen = if interest.is_empty() {
            PollFlags::empty()
        } else {
            fds.last().map_or(PollFlags::empty(), PollFd::revents)
        };
        drop(fds);
        self.sleeper.drain();
        if idle && seen.intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR) {
            return Err(Clean::new("the far side closed the connection"));
        }
        if !listening || seen.intersects(PollFlags::IN) {
            self.heard = Instant::now();
        }
        Ok(())
    }

    fn finish(mut self, why: &Clean) {
        self.inbox.close();
        if let Some(opening) = self.opening.take() {
            opening.request.fail(Mishap::Lost(why.clone()));
        }
        while let Ok(request) = self.inbox.try_recv() {
            request.fail(Mishap::Unsent(why.clone()));
        }
        for lane in &mut self.lanes {
            lane.lost(why);
        }
        let _ = self.session.disconnect(Some(DisconnectCode::ByApplication), "done", None);
        // Freeing a channel waits for the far side's goodbye unless the socket is known to be gone.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
    }
}

/// A channel on its way to being open. libssh2 keeps the state of an opening in the session, so
/// there is one at a time, and one that was begun is seen through.
struct Opening {
    request: Request,
    stage: Stage,
}

enum Stage {
    Channel,
    Terminal(Channel),
    Colours(Channel),
    Start(Channel),
}

enum Progress {
    Waiting(Opening),
    Open(Box<dyn Lane>),
    /// It failed or was called off; the request has its answer.
    Over,
}

impl Opening {
    fn new(request: Request) -> Self {
        Self { request, stage: Stage::Channel }
    }

    /// Whether the far side may have begun what was asked for.
    fn may_run(&self) -> bool {
        matches!(self.stage, Stage::Start(_))
    }

    fn step(mut self, session: &Session) -> Result<Progress, Clean> {
        loop {
            let done = match &mut self.stage {
                Stage::Channel => match &self.request {
                    Request::Forward { to: Whither::Port(host, port), .. } => {
                        session.channel_direct_tcpip(host, *port, None).map(Some)
                    }
                    Request::Forward { to: Whither::Socket(path), .. } => {
                        session.channel_direct_streamlocal(path, None).map(Some)
                    }
                    // Little is on its way to a terminal that does not keep up, so that Ctrl-C is seen to work.
                    request if request.tty().is_some() => {
                        session.channel_open("session", TERMINAL_WINDOW, PACKET, None).map(Some)
                    }
                    _ => session.channel_session().map(Some),
                },
                Stage::Terminal(channel) => {
                    let (term, (columns, rows)) =
                        self.request.tty().map_or(("dumb", (80, 24)), |tty| (tty.term.as_str(), tty.size));
                    channel.request_pty(term, None, Some((columns.into(), rows.into(), 0, 0))).map(|()| None)
                }
                Stage::Colours(channel) => {
                    let colours = self.request.tty().and_then(|tty| tty.colours.as_deref()).unwrap_or_default();
                    match channel.setenv("COLORTERM", colours) {
                        // Few servers take it, and a shell without it is no worse than most.
                        Err(e) if !would_block(&e) && is_refusal(&e) => Ok(None),
                        done => done.map(|()| None),
                    }
                }
                Stage::Start(channel) => match self.request.command() {
                    Some(command) => channel.exec(command).map(|()| None),
                    None => channel.shell().map(|()| None),
                },
            };
            let stage = match (done, self.stage) {
                (Err(e), stage) if would_block(&e) => return Ok(Progress::Waiting(Self { stage, ..self })),
                (Err(e), stage) => return self.request.give_up(&e, matches!(stage, Stage::Channel)),
                (Ok(Some(channel)), _) => match &self.request {
                    request if request.abandoned() => return Ok(Progress::Over),
                    Request::Forward { .. } => return Ok(self.request.open(channel)),
                    request if request.tty().is_some() => Stage::Terminal(channel),
                    _ => Stage::Start(channel),
                },
                (Ok(None), Stage::Terminal(channel)) => {
                    match self.request.tty().is_some_and(|tty| tty.colours.is_some()) {
                        true => Stage::Colours(channel),
                        false => Stage::Start(channel),
                    }
                }
                (Ok(None), Stage::Colours(channel)) => Stage::Start(channel),
                (Ok(None), Stage::Start(channel)) => return Ok(self.request.open(channel)),
                (Ok(None), Stage::Channel) => Stage::Channel,
            };
            self.stage = stage;
        }
    }
}

impl Request {
    /// The terminal wanted, if one is.
    fn tty(&self) -> Option<&Tty> {
        match self {
            Self::Shell { tty, .. } => tty.as_ref(),
            _ => None,
        }
    }

    fn command(&self) -> Option<&str> {
        match self {
            Self::Exec { command, .. } => Some(command),
            Self::Shell { command, .. } => command.as_deref(),
            Self::Forward { .. } => None,
        }
    }

    fn open(self, channel: Channel) -> Progress {
        Progress::Open(match self {
            Self::Exec { reply, .. } => Box::new(Exec::new(channel, reply)),
            Self::Shell { tty, opened, input, output, .. } => {
                let _ = opened.send(Ok(()));
                Box::new(Shell::new(channel, tty.is_some(), input, output))
            }
            Self::Forward { to, socket, opened } => {
                let _ = opened.send(Ok(()));
                Box::new(Forward::new(channel, socket, matches!(to, Whither::Socket(_))))
            }
        })
    }

    /// A refusal concerns this channel only; anything else ends the connection.
    fn give_up(self, error: &ssh2::Error, unsent: bool) -> Result<Progress, Clean> {
        if is_refusal(error) {
            self.fail(Mishap::Refused(words(error)));
            return Ok(Progress::Over);
        }
        self.fail(if unsent { Mishap::Unsent(words(error)) } else { Mishap::Lost(words(error)) });
        Err(words(error))
    }
}

/// Channel failure, request denied, out of memory there.
fn is_refusal(error: &ssh2::Error) -> bool {
    matches!(error.code(), ssh2::ErrorCode::Session(-21 | -22 | -48))
}
