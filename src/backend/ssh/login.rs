//! From a connected socket to a logged-in session: handshake, host key, key login.
//!
//! Runs on the session's own thread, non-blocking, every phase with its own time-out and all of
//! them cut short when nobody waits any more.

use std::{
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use secrecy::ExposeSecret as _;
use ssh2::{BlockDirections, ErrorCode, MethodType, Session};

use super::{
    dial::plain,
    keys::Identity,
    trust::{HostKeyBlob, Record, Verdict},
    wake::Sleeper,
};
use crate::{
    domain::Clean,
    port::shell::{REVOKED, ShellError},
};

/// libssh2's "would block".
pub(super) const EAGAIN: ErrorCode = ErrorCode::Session(-37);

/// Host key algorithms taken, best first. No SHA-1, no DSA.
const HOST_KEYS: [&str; 6] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
];

/// Everything a login needs, gathered before its thread starts.
#[derive(Debug)]
pub(super) struct Login {
    /// How errors call the machine.
    pub(super) host: String,
    pub(super) user: String,
    pub(super) record: Record,
    pub(super) keys: Vec<Identity>,
    /// Why some of the keys named could not be read.
    pub(super) unusable: Vec<Clean>,
    /// One of them, that wants a passphrase.
    pub(super) locked: Option<PathBuf>,
    /// The socket of the user's agent, tried after the key files.
    pub(super) agent: Option<PathBuf>,
    pub(super) handshake: Duration,
    pub(super) auth: Duration,
}

impl Login {
    /// Why nobody need be dialled: there is nothing to log in with, and no passphrase would change that.
    pub(super) fn empty_handed(&self) -> Option<ShellError> {
        let nothing = self.keys.is_empty() && self.agent.is_none() && self.locked.is_none();
        nothing.then(|| {
            let unusable: Vec<_> = self.unusable.iter().map(ToString::to_string).collect();
            let why = Clean::new(if unusable.is_empty() { NONE_NAMED.to_owned() } else { unusable.join("; ") });
            ShellError::NoKey { host: self.host.clone(), user: self.user.clone(), why }
        })
    }

    fn denied(&self, mut tried: Vec<String>, locked: Option<PathBuf>) -> ShellError {
        if tried.is_empty() {
            tried.push(NONE_NAMED.to_owned());
        }
        let (host, user) = (self.host.clone(), self.user.clone());
        ShellError::Denied { host, user, why: Clean::new(tried.join("; ")), locked }
    }
}

/// What is said where no key is named at all.
const NONE_NAMED: &str = "none is named in the configuration, and no ssh-agent is there";

/// What is said of a server that hung up before it said anything: so OpenSSH does when MaxStartups is reached.
pub(super) const TURNED_AWAY: &str =
    "the connection was closed before SSH was agreed on: too many logins at once (MaxStartups), or no SSH server";

/// Whether it introduced itself as an SSH server; one that turns somebody away may say why instead.
fn is_server(banner: Option<&str>) -> bool {
    banner.is_some_and(|banner| banner.starts_with("SSH-"))
}

pub(super) fn would_block(error: &ssh2::Error) -> bool {
    error.code() == EAGAIN
}

/// What libssh2 says, without its numbers.
pub(super) fn words(error: &ssh2::Error) -> Clean {
    Clean::new(error.message())
}

/// Shakes hands, checks the host key, logs in. `gone` tells that nobody waits any more. Returns the
/// session and a second handle on its socket, to poll.
pub(super) fn log_in(
    socket: OwnedFd,
    login: &Login,
    sleeper: &Sleeper,
    gone: &dyn Fn() -> bool,
) -> Result<(Session, OwnedFd), ShellError> {
    let broken = |why: Clean| ShellError::Broken { host: login.host.clone(), why };
    let start = |e: ssh2::Error| broken(words(&e));
    let polled = socket.try_clone().map_err(|e| broken(Clean::new(e.to_string())))?;
    let mut session = Session::new().map_err(start)?;
    session.set_blocking(false);
    session.method_pref(MethodType::HostKey, &host_key_order(&login.record)).map_err(start)?;
    session.set_tcp_stream(socket);

    let patience = Patience { socket: &polled, sleeper, gone, host: &login.host };
    let mut shaking = session.clone();
    patience.wait(&session, login.handshake, || shaking.handshake())?.map_err(|e| {
        let why = match e.code() {
            ErrorCode::Session(-13 | -2 | -43) if !is_server(session.banner()) => TURNED_AWAY.to_owned(),
            ErrorCode::Session(-13 | -2 | -43) => "the connection was closed before SSH was agreed on".to_owned(),
            _ => format!("the SSH handshake failed: {}", e.message()),
        };
        broken(Clean::new(why))
    })?;
    check_host(&session, login)?;
    authenticate(&session, login, &patience)?;
    Ok((session, polled))
}

/// The algorithms on record come first, so that a host with several keys shows the one we know.
fn host_key_order(record: &Record) -> String {
    let known = |algorithm: &str| {
        record
            .trusted
            .iter()
            .filter_map(HostKeyBlob::kind)
            .any(|kind| kind == algorithm || (kind == "ssh-rsa" && algorithm.starts_with("rsa-sha2-")))
    };
    let (mut order, rest): (Vec<_>, Vec<_>) = HOST_KEYS.iter().copied().partition(|a| known(a));
    order.extend(rest);
    order.join(",")
}

fn check_host(session: &Session, login: &Login) -> Result<(), ShellError> {
    let host = login.host.clone();
    let Some((blob, _)) = session.host_key() else {
        return Err(ShellError::Broken { host, why: Clean::new("it showed no host key") });
    };
    let shown = HostKeyBlob::new(blob);
    match login.record.judge(&shown) {
        Verdict::Trusted => Ok(()),
        Verdict::Unknown => Err(ShellError::UnknownHost { host, fingerprint: shown.fingerprint(), key: shown.line() }),
        Verdict::Wrong => {
            let known: Vec<_> = login.record.trusted.iter().map(HostKeyBlob::fingerprint).collect();
            let known = if login.record.revoked.contains(&shown) { REVOKED.to_owned() } else { known.join(" or ") };
            Err(ShellError::WrongHost {
                host,
                fingerprint: shown.fingerprint(),
                known,
                key: shown.line(),
                guest: login.record.told,
            })
        }
    }
}

fn authenticate(session: &Session, login: &Login, patience: &Patience<'_>) -> Result<(), ShellError> {
    let mut tried = Vec::new();
    let mut locked = login.locked.clone();
    let until = Instant::now() + login.auth;
    let left = || until.saturating_duration_since(Instant::now());
    for key in &login.keys {
        let answer = patience.wait(session, left(), || {
            let passphrase = key.passphrase.as_ref().map(|passphrase| passphrase.expose_secret());
            session.userauth_pubkey_memory(&login.user, None, key.pem.expose_secret(), passphrase)
        })?;
        match answer {
            Ok(()) => return Ok(()),
            Err(e) if lost(&e) => return Err(patience.broken(words(&e))),
            Err(e) if refused(&e) => tried.push(format!("{} was refused", key.path.display())),
            // libssh2 cannot tell a wrong passphrase from a broken file.
            Err(_) if key.passphrase.is_some() => {
                tried.push(format!("{} is not opened by the passphrase given", key.path.display()));
                locked.get_or_insert_with(|| key.path.clone());
            }
            Err(e) => tried.push(format!("{}: {}", key.path.display(), e.message())),
        }
    }
    tried.extend(login.unusable.iter().map(ToString::to_string));
    if let Some(path) = &login.agent {
        match by_agent(session, login, path, patience, &left)? {
            Ok(()) => return Ok(()),
            Err(why) => tried.push(why),
        }
    }
    // What else would do, where no key does.
    if let Ok(Ok(Some(others))) = patience.wait(session, left(), || other_ways(session, &login.user)) {
        tried.push(format!("it lets people in by {others} only, and homeroom logs in by key"));
    }
    Err(login.denied(tried, locked))
}

/// The ways a server lets people in, if by key is not one of them.
fn other_ways(session: &Session, user: &str) -> Result<Option<String>, ssh2::Error> {
    let ways = session.auth_methods(user)?;
    let by_key = ways.split(',').any(|way| way == "publickey");
    Ok((!by_key && !ways.is_empty()).then(|| ways.replace(',', " or ")))
}

/// How long an agent may take to say which keys it holds.
const AGENT_WITHIN: Duration = Duration::from_secs(5);

/// Asks an agent for its keys and waits for the beginning of an answer.
fn agent_answers(path: &std::path::Path, within: Duration) -> Result<(), String> {
    // A message of one byte: SSH_AGENTC_REQUEST_IDENTITIES.
    const ASK: [u8; 5] = [0, 0, 0, 1, 11];
    let asked = || {
        let mut agent = UnixStream::connect(path)?;
        let within = Some(within.max(Duration::from_millis(1)));
        agent.set_read_timeout(within)?;
        agent.set_write_timeout(within)?;
        agent.write_all(&ASK)?;
        agent.read_exact(&mut [0; 4])
    };
    asked().map_err(|e: io::Error| match e.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("does not answer (waited {} s)", within.as_secs())
        }
        _ => format!("cannot be asked: {}", plain(&e)),
    })
}

/// The outer error is fatal, the inner one says why the agent did not help.
fn by_agent(
    session: &Session,
    login: &Login,
    path: &std::path::Path,
    patience: &Patience<'_>,
    left: &dyn Fn() -> Duration,
) -> Result<Result<(), String>, ShellError> {
    // libssh2 would wait for ever, and nobody could call it off.
    if let Err(why) = agent_answers(path, AGENT_WITHIN.min(left())) {
        return Ok(Err(format!("ssh-agent at {} {why}", path.display())));
    }
    let unusable = |e: ssh2::Error| Ok(Err(format!("ssh-agent at {}: {}", path.display(), e.message())));
    let mut agent = match session.agent() {
        Ok(agent) => agent,
        Err(e) => return unusable(e),
    };
    if let Err(e) = agent.set_identity_path(path).and_then(|()| agent.connect()).and_then(|()| agent.list_identities())
    {
        return unusable(e);
    }
    let identities = match agent.identities() {
        Ok(identities) => identities,
        Err(e) => return unusable(e),
    };
    // Servers hang up after some six refusals.
    for identity in identities.iter().take(5) {
        match patience.wait(session, left(), || agent.userauth(&login.user, identity))? {
            Ok(()) => return Ok(Ok(())),
            Err(e) if lost(&e) => return Err(patience.broken(words(&e))),
            Err(_) => {}
        }
    }
    Ok(Err(match identities.len() {
        0 => "ssh-agent holds no key".to_owned(),
        1 => "the key of ssh-agent was refused".to_owned(),
        n => format!("{} keys of ssh-agent were refused", n.min(5)),
    }))
}

fn refused(error: &ssh2::Error) -> bool {
    matches!(error.code(), ErrorCode::Session(-18 | -19))
}

/// The connection itself is gone.
fn lost(error: &ssh2::Error) -> bool {
    matches!(error.code(), ErrorCode::Session(-13 | -7 | -43))
}

/// Waiting for a socket, with a time-out and a way to be called off.
pub(super) struct Patience<'a> {
    pub(super) socket: &'a OwnedFd,
    pub(super) sleeper: &'a Sleeper,
    pub(super) gone: &'a dyn Fn() -> bool,
    pub(super) host: &'a str,
}

impl Patience<'_> {
    pub(super) fn broken(&self, why: Clean) -> ShellError {
        ShellError::Broken { host: self.host.to_owned(), why }
    }

    /// Repeats `operation` until it is done; the outer error is a time-out or a call-off.
    pub(super) fn wait<T>(
        &self,
        session: &Session,
        within: Duration,
        mut operation: impl FnMut() -> Result<T, ssh2::Error>,
    ) -> Result<Result<T, ssh2::Error>, ShellError> {
        let until = Instant::now() + within;
        loop {
            match operation() {
                Err(e) if would_block(&e) => {}
                done => return Ok(done),
            }
            if (self.gone)() {
                return Err(self.broken(Clean::new("called off")));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ShellError::TimedOut { host: self.host.to_owned(), within });
            }
            let mut fds = [
                PollFd::new(self.socket, interest(session)),
                PollFd::from_borrowed_fd(self.sleeper.as_fd(), PollFlags::IN),
            ];
            match poll(&mut fds, Some(&timespec(left))) {
                Ok(_) | Err(rustix::io::Errno::INTR) => self.sleeper.drain(),
                Err(e) => return Err(self.broken(Clean::new(e.to_string()))),
            }
        }
    }
}

/// What the session waits for on its socket.
pub(super) fn interest(session: &Session) -> PollFlags {
    match session.block_directions() {
        BlockDirections::Outbound | BlockDirections::Both => PollFlags::IN | PollFlags::OUT,
        BlockDirections::Inbound | BlockDirections::None => PollFlags::IN,
    }
}

pub(super) fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX), tv_nsec: duration.subsec_nanos().into() }
}
