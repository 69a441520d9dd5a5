//! Files over SFTP: a connection of its own for each transfer, on a thread of its own, never blocking
//! for longer than it hears nothing.
//!
//! Names that come from the far side are used only where they are plain names of files and folders:
//! links and devices there are left out, and nothing is written outside the place that was named.

mod down;
mod left;
mod pattern;
mod places;
mod up;

use std::{
    collections::HashSet,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use ssh2::{ErrorCode, File, FileStat, Session, Sftp};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use self::places::{from_home, sftp_words, there};
use super::{
    login::{Login, Patience, log_in, would_block},
    wake::{self, WakeOnDrop},
};
use crate::{
    domain::Clean,
    port::{
        copy::{Copied, CopyError, Direction, Transfer},
        shell::ShellError,
    },
};

/// On the way at once; libssh2 splits it into requests of its own and does not wait for each.
const BUFFER: usize = 256 << 10;
/// Folders within folders.
const DEEPEST: u32 = 64;
/// Names in one folder, and files in one transfer.
const MOST_FILES: u64 = 100_000;
/// Read from a file whose size is not told, as those the kernel makes up, in bytes.
const MOST_UNTOLD: u64 = 64 << 20;
/// What libssh2 may wait for a goodbye.
const GOODBYE_MILLIS: u32 = 2000;
/// Told at most of what was left out.
const SKIPPED: usize = 100;

/// libssh2's "the SFTP server refused".
const REFUSED: ErrorCode = ErrorCode::Session(-31);
/// An SFTP server's "no such file".
const NO_SUCH_FILE: i32 = 2;
/// libssh2's "no more files".
const NO_MORE: ErrorCode = ErrorCode::Session(-16);

/// Copies over a connected socket. `permit` is held as long as the thread lives; `silence` is how long
/// the far side may leave a request unanswered.
pub(super) async fn copy(
    socket: OwnedFd,
    login: Login,
    silence: Duration,
    permit: OwnedSemaphorePermit,
    transfer: Transfer,
) -> Result<Copied, CopyError> {
    let host = login.host.clone();
    let broken = |e: io::Error| ShellError::Broken { host: host.clone(), why: Clean::new(e.to_string()) };
    let (waker, sleeper) = wake::pair().map_err(broken)?;
    let (reply, answer) = oneshot::channel();
    let _called_off = WakeOnDrop(waker);
    std::thread::Builder::new()
        .name("sftp".to_owned())
        .spawn(move || {
            let _permit = permit;
            let gone = || reply.is_closed();
            let outcome =
                log_in(socket, &login, &sleeper, &gone).map_err(CopyError::from).and_then(|(session, socket)| {
                    session.set_timeout(GOODBYE_MILLIS);
                    let patience = Patience { socket: &socket, sleeper: &sleeper, gone: &gone, host: &login.host };
                    let outcome = There::open(&session, &patience, silence).and_then(|mut there| {
                        let outcome = there.transfer(&transfer);
                        // Handles still open after a failure wait for the far side, unless the socket is known to be gone.
                        let _ = rustix::net::shutdown(&socket, rustix::net::Shutdown::Both);
                        outcome.map(|()| there.copied)
                    });
                    let _ = rustix::net::shutdown(&socket, rustix::net::Shutdown::Both);
                    outcome
                });
            let _ = reply.send(outcome);
        })
        .map_err(broken)?;
    let lost = || ShellError::Broken { host, why: Clean::new("its connection ended unexpectedly") };
    answer.await.unwrap_or_else(|_| Err(lost().into()))
}

/// The far side's files.
struct There<'a> {
    session: &'a Session,
    sftp: Sftp,
    patience: &'a Patience<'a>,
    silence: Duration,
    copied: Copied,
    /// Folders there that hold nothing of uploads that were broken off.
    swept: HashSet<PathBuf>,
}

impl<'a> There<'a> {
    fn open(session: &'a Session, patience: &'a Patience<'a>, silence: Duration) -> Result<Self, CopyError> {
        let sftp = patience
            .wait(session, silence, || session.sftp())?
            .map_err(|e| patience.broken(Clean::new(format!("it has no SFTP server: {}", e.message()))))?;
        Ok(Self { session, sftp, patience, silence, copied: Copied::default(), swept: HashSet::new() })
    }

    fn transfer(&mut self, transfer: &Transfer) -> Result<(), CopyError> {
        let remote = from_home(&transfer.remote);
        match transfer.direction {
            Direction::Up => self.send(&transfer.local, &remote, transfer.recursive),
            Direction::Down => self.fetch(&remote, &transfer.local, transfer.recursive),
        }
    }

    /// Asks until there is an answer; SFTP's refusals come back as errors about `path`.
    fn ask<T>(&self, path: &Path, ask: impl FnMut() -> Result<T, ssh2::Error>) -> Result<T, CopyError> {
        let answer = self.patience.wait(self.session, self.silence, ask)?;
        answer.map_err(|e| self.trouble(path, &e))
    }

    fn trouble(&self, path: &Path, error: &ssh2::Error) -> CopyError {
        match error.code() {
            ErrorCode::SFTP(code) => there(path, sftp_words(code)),
            ErrorCode::Session(_) => self.patience.broken(super::login::words(error)).into(),
        }
    }

    fn about(&self, path: &Path) -> Result<FileStat, CopyError> {
        self.ask(path, || self.sftp.stat(path))
    }

    /// The path by which something there is known: a home folder has a name too.
    fn named(&self, path: &Path) -> Result<PathBuf, CopyError> {
        if path.file_name().is_some() { Ok(path.to_owned()) } else { self.ask(path, || self.sftp.realpath(path)) }
    }

    /// The same; none where nothing is there.
    fn about_any(&self, path: &Path) -> Result<Option<FileStat>, CopyError> {
        let answer = self.patience.wait(self.session, self.silence, || self.sftp.stat(path))?;
        match answer {
            Ok(about) => Ok(Some(about)),
            Err(e) if e.code() == ErrorCode::SFTP(NO_SUCH_FILE) => Ok(None),
            Err(e) => Err(self.trouble(path, &e)),
        }
    }

    /// Whether there is such a folder; nothing there is no error.
    fn is_folder(&self, path: &Path) -> Result<bool, CopyError> {
        Ok(self.about_any(path)?.is_some_and(|about| about.is_dir()))
    }

    /// What lies in a folder there, by name, without itself and the one it lies in.
    fn list(&self, path: &Path) -> Result<Vec<(PathBuf, FileStat)>, CopyError> {
        let mut folder = self.ask(path, || self.sftp.opendir(path))?;
        let mut names = Vec::new();
        loop {
            match self.patience.wait(self.session, self.silence, || folder.readdir())? {
                Ok((name, about)) => names.push((name, about)),
                Err(e) if e.code() == NO_MORE => break,
                Err(e) => return Err(self.trouble(path, &e)),
            }
            if names.len() as u64 > MOST_FILES {
                return Err(there(path, format!("it holds more than {MOST_FILES} names")));
            }
        }
        self.ask(path, || folder.close())?;
        names.retain(|(name, _)| name != Path::new(".") && name != Path::new(".."));
        names.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(names)
    }

    fn count(&mut self, path: &Path, bytes: u64) -> Result<(), CopyError> {
        self.copied.files += 1;
        self.copied.bytes += bytes;
        if self.copied.files > MOST_FILES {
            return Err(there(path, format!("more than {MOST_FILES} files at once are not copied")));
        }
        Ok(())
    }

    fn skip(&mut self, path: &Path) {
        if self.copied.skipped.len() < SKIPPED {
            self.copied.skipped.push(Clean::new(path.to_string_lossy()));
        }
    }

    /// What cannot be copied of a folder keeps nothing else from being; where the connection itself is broken, and where
    /// it is too much, all ends.
    fn go_on(&mut self, outcome: Result<(), CopyError>, is_its_own: fn(&CopyError) -> bool) -> Result<(), CopyError> {
        match outcome {
            Err(error) if is_its_own(&error) && self.copied.files <= MOST_FILES => {
                self.copied.failures += 1;
                if self.copied.failed.len() < SKIPPED {
                    self.copied.failed.push(Clean::new(error.to_string()));
                }
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Moves some bytes of a file, waiting for the far side.
    fn moved(
        &self,
        path: &Path,
        file: &mut File,
        mut step: impl FnMut(&mut File) -> io::Result<usize>,
    ) -> Result<usize, CopyError> {
        let mut failed = None;
        let moved = self.patience.wait(self.session, self.silence, || match step(file) {
            Ok(n) => Ok(n),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Err(ssh2::Error::from_errno(super::login::EAGAIN)),
            Err(e) => {
                failed = Some(e);
                Ok(0)
            }
        })?;
        match (failed, moved) {
            (None, Ok(n)) => Ok(n),
            (None, Err(e)) => Err(self.trouble(path, &e)),
            (Some(said), _) => match ssh2::Error::last_session_error(self.session) {
                // The server refused, in words that only the lesser error kept.
                Some(e) if e.code() == REFUSED && said.to_string() == "failure" => Err(there(path, sftp_words(4))),
                Some(e) if e.code() == REFUSED => Err(there(path, said.to_string())),
                Some(e) if !would_block(&e) => Err(self.trouble(path, &e)),
                _ => Err(self.patience.broken("the connection broke off".into()).into()),
            },
        }
    }
}
