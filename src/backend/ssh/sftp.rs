//! Files over SFTP: a connection of its own for each transfer, on a thread of its own, never blocking
//! for longer than it hears nothing.
//!
//! Names that come from the far side are used only where they are plain names of files and folders:
//! links and devices there are left out, and nothing is written outside the place that was named.

use std::{
    ffi::OsStr,
    fs,
    io::{self, Read as _, Write as _},
    os::{fd::OwnedFd, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use ssh2::{ErrorCode, File, FileStat, OpenFlags, OpenType, Session, Sftp};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

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
}

impl<'a> There<'a> {
    fn open(session: &'a Session, patience: &'a Patience<'a>, silence: Duration) -> Result<Self, CopyError> {
        let sftp = patience
            .wait(session, silence, || session.sftp())?
            .map_err(|e| patience.broken(Clean::new(format!("it has no SFTP server: {}", e.message()))))?;
        Ok(Self { session, sftp, patience, silence, copied: Copied::default() })
    }

    fn transfer(&mut self, transfer: &Transfer) -> Result<(), CopyError> {
        let remote = from_home(&transfer.remote);
        let (local, recursive) = (transfer.local.as_path(), transfer.recursive);
        match transfer.direction {
            Direction::Up => {
                let about = fs::metadata(local).map_err(|e| here(local, &e))?;
                let name = name_here(local)?;
                let to = self.place_there(&remote, &name)?;
                if about.is_dir() && !recursive {
                    return Err(is_folder_here(local));
                }
                if !about.is_dir() && !about.is_file() {
                    let why = "it is neither a file nor a folder".to_owned();
                    return Err(CopyError::Here { path: local.to_owned(), why });
                }
                self.up(local, &to, 0)
            }
            Direction::Down => {
                let about = self.about(&remote)?;
                let is_folder = about.is_dir();
                if is_folder && !recursive {
                    return Err(there(&remote, "it is a folder; -r copies folders"));
                }
                if !is_folder && !about.is_file() {
                    return Err(there(&remote, "it is neither a file nor a folder"));
                }
                let to = place_here(local, &self.named(&remote)?)?;
                if is_folder { self.folder_down(&remote, &to, 0) } else { self.file_down(&remote, &about, &to) }
            }
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

    /// Whether there is such a folder; nothing there is no error.
    fn is_folder(&self, path: &Path) -> Result<bool, CopyError> {
        let answer = self.patience.wait(self.session, self.silence, || self.sftp.stat(path))?;
        match answer {
            Ok(about) => Ok(about.is_dir()),
            Err(e) if e.code() == ErrorCode::SFTP(2) => Ok(false),
            Err(e) => Err(self.trouble(path, &e)),
        }
    }

    /// Where something called `name` goes: into a folder that is there, else under the very name given.
    fn place_there(&self, to: &Path, name: &OsStr) -> Result<PathBuf, CopyError> {
        if self.is_folder(to)? {
            return Ok(to.join(name));
        }
        if to.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(there(to, "there is no such folder"));
        }
        Ok(to.to_owned())
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

    fn up(&mut self, from: &Path, to: &Path, depth: u32) -> Result<(), CopyError> {
        // What was named may be a link; one in a folder could lead anywhere.
        let about = if depth == 0 { fs::metadata(from) } else { fs::symlink_metadata(from) };
        let about = about.map_err(|e| here(from, &e))?;
        if about.is_file() {
            return self.file_up(from, to, about.permissions().mode());
        }
        if !about.is_dir() {
            self.skip(from);
            return Ok(());
        }
        if depth > DEEPEST {
            return Err(CopyError::Here {
                path: from.to_owned(),
                why: "folders lie too deep within each other".to_owned(),
            });
        }
        if !self.is_folder(to)? {
            let mode = i32::try_from(about.permissions().mode() & 0o777).unwrap_or(0o755);
            self.ask(to, || self.sftp.mkdir(to, mode))?;
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(from).map_err(|e| here(from, &e))? {
            names.push(entry.map_err(|e| here(from, &e))?.file_name());
        }
        names.sort();
        for name in names {
            self.up(&from.join(&name), &to.join(&name), depth + 1)?;
        }
        Ok(())
    }

    /// Written aside and renamed: what was there before stays until all of it has gone over. Where nothing can be
    /// made beside it, and where it is no plain file, it is written to as it is.
    fn file_up(&mut self, from: &Path, to: &Path, mode: u32) -> Result<(), CopyError> {
        let local = fs::File::open(from).map_err(|e| here(from, &e))?;
        let mode = i32::try_from(mode & 0o777).unwrap_or(0o644);
        let before = match self.patience.wait(self.session, self.silence, || self.sftp.stat(to))? {
            Ok(about) => Some(about),
            Err(e) if e.code() == ErrorCode::SFTP(2) => None,
            Err(e) => return Err(self.trouble(to, &e)),
        };
        let bytes = if before.as_ref().is_some_and(|about| !about.is_file()) {
            self.over(from, local, to, mode)?
        } else {
            // A link goes on leading to its file.
            let real = if before.is_some() { self.ask(to, || self.sftp.realpath(to))? } else { to.to_owned() };
            let aside = beside(&real, "new");
            let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
            let opening = || self.sftp.open_mode(&aside, flags, mode, OpenType::File);
            match self.patience.wait(self.session, self.silence, opening)? {
                Ok(remote) => {
                    let put = self.filled(from, local, to, remote, before.as_ref());
                    let put = put.and_then(|bytes| self.put_in_place(&aside, &real).map(|()| bytes));
                    // Over a connection that is gone nothing can be removed.
                    if put.as_ref().is_err_and(|error| !matches!(error, CopyError::Shell(_))) {
                        let _ = self.patience.wait(self.session, self.silence, || self.sftp.unlink(&aside));
                    }
                    put?
                }
                Err(e) if e.code() == ErrorCode::SFTP(3) && before.is_some() => self.over(from, local, to, mode)?,
                Err(e) => return Err(self.trouble(to, &e)),
            }
        };
        self.count(to, bytes)
    }

    /// Writes to what is there.
    fn over(&self, from: &Path, local: fs::File, to: &Path, mode: i32) -> Result<u64, CopyError> {
        let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE;
        let remote = self.ask(to, || self.sftp.open_mode(to, flags, mode, OpenType::File))?;
        self.filled(from, local, to, remote, None)
    }

    /// Renames over what is there. The protocol's own renaming replaces nothing: then the old file makes way first, and
    /// comes back if that was in vain.
    fn put_in_place(&self, aside: &Path, to: &Path) -> Result<(), CopyError> {
        let rename = |from: &Path, to: &Path| self.ask(to, || self.sftp.rename(from, to, None));
        let Err(refused) = rename(aside, to) else { return Ok(()) };
        let old = beside(to, "old");
        if rename(to, &old).is_err() {
            return Err(refused);
        }
        let put = rename(aside, to);
        let _ = match put {
            Ok(()) => self.ask(to, || self.sftp.unlink(&old)),
            Err(_) => rename(&old, to),
        };
        put
    }

    /// Moves all of a file into one that is open there; it gets the owner and mode of the one `before` it, as far as
    /// the server allows.
    fn filled(
        &self,
        from: &Path,
        mut local: fs::File,
        to: &Path,
        mut remote: File,
        before: Option<&FileStat>,
    ) -> Result<u64, CopyError> {
        let mut buffer = vec![0; BUFFER];
        let mut bytes = 0;
        loop {
            let n = local.read(&mut buffer).map_err(|e| here(from, &e))?;
            if n == 0 {
                break;
            }
            let mut gone = 0;
            while gone < n {
                gone += self.moved(to, &mut remote, |file| file.write(&buffer[gone..n]))?;
            }
            bytes += n as u64;
        }
        if let Some(&FileStat { uid, gid, perm, .. }) = before {
            let plain = FileStat { size: None, uid: None, gid: None, perm: None, atime: None, mtime: None };
            let owner = FileStat { uid, gid, ..plain.clone() };
            let mode = FileStat { perm: perm.map(|perm| perm & 0o7777), ..plain };
            for about in [owner, mode] {
                let _ = self.patience.wait(self.session, self.silence, || remote.setstat(about.clone()))?;
            }
        }
        // A full disk may be told no sooner.
        self.ask(to, || remote.close())?;
        Ok(bytes)
    }

    fn folder_down(&mut self, from: &Path, to: &Path, depth: u32) -> Result<(), CopyError> {
        if depth > DEEPEST {
            return Err(there(from, "folders lie too deep within each other"));
        }
        if !to.is_dir() {
            fs::create_dir_all(to).map_err(|e| here(to, &e))?;
        }
        let mut folder = self.ask(from, || self.sftp.opendir(from))?;
        let mut names = Vec::new();
        loop {
            match self.patience.wait(self.session, self.silence, || folder.readdir())? {
                Ok((name, about)) => names.push((name, about)),
                Err(e) if e.code() == NO_MORE => break,
                Err(e) => return Err(self.trouble(from, &e)),
            }
            if names.len() as u64 > MOST_FILES {
                return Err(there(from, format!("it holds more than {MOST_FILES} names")));
            }
        }
        self.ask(from, || folder.close())?;
        names.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, about) in names {
            if name == Path::new(".") || name == Path::new("..") {
                continue;
            }
            let Some(name) = plain_name(&name) else {
                return Err(there(&from.join(&name), "it is no name for a file"));
            };
            let (inner, place) = (from.join(name), to.join(name));
            if about.is_dir() {
                self.folder_down(&inner, &place, depth + 1)?;
            } else if about.is_file() {
                self.file_down(&inner, &about, &place)?;
            } else {
                self.skip(&inner);
            }
        }
        Ok(())
    }

    /// Written aside and renamed: what was there before stays until all of it has come.
    fn file_down(&mut self, from: &Path, about: &FileStat, to: &Path) -> Result<(), CopyError> {
        let local = |e: &io::Error| here(to, e);
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|e| here(folder, &e))?;
        let mut remote = self.ask(from, || self.sftp.open(from))?;
        let mut aside =
            tempfile::Builder::new().prefix(".homeroom-").tempfile_in(folder).map_err(|e| here(folder, &e))?;
        let told = about.size.unwrap_or(0);
        // A file that grows while it is read is taken as it was.
        let most = if told == 0 { MOST_UNTOLD } else { told };
        let mut buffer = vec![0; BUFFER];
        let mut bytes = 0;
        while bytes < most {
            let room = usize::try_from(most - bytes).unwrap_or(BUFFER).min(BUFFER);
            let n = self.moved(from, &mut remote, |file| file.read(&mut buffer[..room]))?;
            if n == 0 {
                break;
            }
            aside.write_all(&buffer[..n]).map_err(|e| local(&e))?;
            bytes += n as u64;
        }
        self.ask(from, || remote.close())?;
        let mode = about.perm.unwrap_or(0o644) & 0o755;
        aside.as_file().set_permissions(fs::Permissions::from_mode(mode | 0o600)).map_err(|e| local(&e))?;
        aside.persist(to).map_err(|e| local(&e.error))?;
        self.count(from, bytes)
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

/// A name in the same folder that nothing has.
fn beside(path: &Path, what: &str) -> PathBuf {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    path.with_file_name(format!(".homeroom-{what}-{}-{}", std::process::id(), now.as_nanos()))
}

/// A path there: `~` is where one begins anyway.
fn from_home(path: &str) -> PathBuf {
    let path = match path.strip_prefix("~/") {
        Some(path) => path.trim_start_matches('/'),
        None => path,
    };
    PathBuf::from(if matches!(path, "" | "~") { "." } else { path })
}

fn name_here(path: &Path) -> Result<std::ffi::OsString, CopyError> {
    let named = |path: &Path| path.file_name().map(OsStr::to_owned);
    // `.` and `..` are folders with names too.
    named(path)
        .or_else(|| fs::canonicalize(path).ok().as_deref().and_then(named))
        .ok_or_else(|| CopyError::Here { path: path.to_owned(), why: "it has no name of its own".to_owned() })
}

/// Where something from there goes: into a folder that is here or is meant by a slash, else under the very name given.
fn place_here(to: &Path, from: &Path) -> Result<PathBuf, CopyError> {
    if !to.is_dir() && !to.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Ok(to.to_owned());
    }
    let name = from.file_name().ok_or_else(|| there(from, "it has no name; say what it is to be called here"))?;
    Ok(to.join(name))
}

/// A name that stays in its folder.
fn plain_name(name: &Path) -> Option<&OsStr> {
    let bytes = name.as_os_str().as_encoded_bytes();
    let plain = !bytes.is_empty() && !bytes.contains(&b'/') && !bytes.contains(&0);
    (plain && name.file_name() == Some(name.as_os_str())).then_some(name.as_os_str())
}

fn here(path: &Path, error: &io::Error) -> CopyError {
    let text = error.to_string();
    CopyError::Here { path: path.to_owned(), why: text.split(" (os error").next().unwrap_or(&text).to_owned() }
}

fn is_folder_here(path: &Path) -> CopyError {
    CopyError::Here { path: path.to_owned(), why: "it is a folder; -r copies folders".to_owned() }
}

fn there(path: &Path, why: impl AsRef<str>) -> CopyError {
    CopyError::There { path: Clean::new(path.to_string_lossy()), why: Clean::new(why) }
}

/// What a server's refusal means.
fn sftp_words(code: i32) -> &'static str {
    match code {
        2 | 10 => "there is no such file or folder",
        3 => "permission denied",
        8 => "the server cannot do that",
        11 => "it is there already",
        14 => "the disk is full",
        15 => "the quota is used up",
        _ => "the server could not do it, and says no more (is the disk full? is it a folder?)",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_from_the_far_side_stay_in_their_folder() {
        for name in ["a", "a b", "..a", ".profile"] {
            assert_eq!(plain_name(Path::new(name)), Some(OsStr::new(name)));
        }
        for name in ["", "..", ".", "/", "/etc/passwd", "a/b", "../a", "a/"] {
            assert_eq!(plain_name(Path::new(name)), None, "{name:?}");
        }
    }

    #[test]
    fn paths_there_begin_at_home() {
        let paths = ["", "~", "~/", "~/a", "~//a", "a/b", "/etc", "~lock"].map(from_home);
        assert_eq!(paths.map(|path| path.display().to_string()), [".", ".", ".", "a", "a", "a/b", "/etc", "~lock"]);
    }

    #[test]
    fn what_comes_goes_into_a_folder_that_is_here_else_under_the_name_given() {
        let folder = tempfile::tempdir().unwrap();
        let (place, log) = (folder.path(), Path::new("/var/log/syslog"));
        assert_eq!(place_here(place, log), Ok(place.join("syslog")));
        assert_eq!(place_here(&place.join("new"), log), Ok(place.join("new")));
        assert_eq!(place_here(&place.join("new/"), log), Ok(place.join("new/syslog")));
    }
}
