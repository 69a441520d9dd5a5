//! From there to here. Names from there stay in the folder that was named here.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use ssh2::FileStat;

use super::{
    BUFFER, DEEPEST, MOST_FILES, MOST_UNTOLD, NO_MORE, There,
    places::{here, place_here, plain_name, there},
};
use crate::port::copy::CopyError;

impl There<'_> {
    /// A file or a folder from there.
    pub(super) fn fetch(&mut self, remote: &Path, local: &Path, recursive: bool) -> Result<(), CopyError> {
        let about = self.about(remote)?;
        let is_folder = about.is_dir();
        if is_folder && !recursive {
            return Err(there(remote, "it is a folder; -r copies folders"));
        }
        if !is_folder && !about.is_file() {
            return Err(there(remote, "it is neither a file nor a folder"));
        }
        let to = place_here(local, &self.named(remote)?)?;
        if is_folder { self.folder_down(remote, &to, 0) } else { self.file_down(remote, &about, &to) }
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
            let copied = if about.is_dir() {
                self.folder_down(&inner, &place, depth + 1)
            } else if about.is_file() {
                self.file_down(&inner, &about, &place)
            } else {
                self.skip(&inner);
                Ok(())
            };
            self.go_on(copied, |error| matches!(error, CopyError::There { .. }))?;
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
}
