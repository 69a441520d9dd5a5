//! From here to there. A file is written aside and renamed: what was there before stays until all of it has gone over.

use std::{
    ffi::OsStr,
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use ssh2::{ErrorCode, File, FileStat, OpenFlags, OpenType};

use super::{
    BUFFER, DEEPEST, There, left,
    places::{here, is_folder_here, name_here, there},
};
use crate::{
    domain::Clean,
    port::{copy::CopyError, shell::ShellError},
};

impl There<'_> {
    /// A file or a folder from here.
    pub(super) fn send(&mut self, local: &Path, remote: &Path, recursive: bool) -> Result<(), CopyError> {
        let about = fs::metadata(local).map_err(|e| here(local, &e))?;
        let name = name_here(local)?;
        let to = self.place_there(remote, &name)?;
        if about.is_dir() && !recursive {
            return Err(is_folder_here(local));
        }
        if !about.is_dir() && !about.is_file() {
            let why = "it is neither a file nor a folder".to_owned();
            return Err(CopyError::Here { path: local.to_owned(), why });
        }
        self.up(local, &to, 0)
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
            if let Err(error) = self.ask(to, || self.sftp.mkdir(to, mode)) {
                return Err(match self.about(to) {
                    Ok(about) if !about.is_dir() => there(to, "it is there already, and no folder"),
                    _ => error,
                });
            }
            self.swept.insert(to.to_owned());
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(from).map_err(|e| here(from, &e))? {
            names.push(entry.map_err(|e| here(from, &e))?.file_name());
        }
        names.sort();
        for name in names {
            let copied = self.up(&from.join(&name), &to.join(&name), depth + 1);
            self.go_on(copied, |error| matches!(error, CopyError::Here { .. }))?;
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
            let aside = left::beside(&real, left::NEW);
            let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
            let opening = || self.sftp.open_mode(&aside, flags, mode, OpenType::File);
            match self.patience.wait(self.session, self.silence, opening)? {
                Ok(remote) => {
                    self.sweep(&aside)?;
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
        let old = left::beside(to, left::OLD);
        if rename(to, &old).is_err() {
            return Err(refused);
        }
        let put = rename(aside, to);
        let back = match put {
            Ok(()) => self.ask(to, || self.sftp.unlink(&old)),
            Err(_) => rename(&old, to),
        };
        put.map_err(|error| match (error, back) {
            (CopyError::Shell(ShellError::Broken { host, why }), Err(_)) => {
                let why = format!("{why}; what was in {} may be in {} now", to.display(), old.display());
                ShellError::Broken { host, why: Clean::new(why) }.into()
            }
            (error, _) => error,
        })
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
}
