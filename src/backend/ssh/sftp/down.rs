//! From there to here. Names from there stay in the folder that was named here.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use ssh2::FileStat;

use super::{
    BUFFER, DEEPEST, MOST_UNTOLD, NO_SUCH_FILE, There,
    pattern::{is_pattern, matches},
    places::{here, place_here, plain_name, sftp_words, there},
};
use crate::port::copy::CopyError;

impl There<'_> {
    /// A file or a folder from there, or all that a pattern stands for.
    pub(super) fn fetch(&mut self, remote: &Path, local: &Path, recursive: bool) -> Result<(), CopyError> {
        match self.about_any(remote)? {
            Some(about) => self.fetch_one(remote, &about, local, recursive),
            None if is_pattern(remote) => self.fetch_all(remote, local, recursive),
            None => Err(there(remote, sftp_words(NO_SUCH_FILE))),
        }
    }

    /// What matches the last part of a path. One that cannot be copied keeps no other from being.
    fn fetch_all(&mut self, remote: &Path, local: &Path, recursive: bool) -> Result<(), CopyError> {
        let folder = remote.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let pattern = remote.file_name().unwrap_or_default().to_string_lossy();
        let mut names = self.list(folder)?;
        names.retain(|(name, _)| plain_name(name).is_some_and(|name| matches(&pattern, &name.to_string_lossy())));
        if names.is_empty() {
            return Err(there(remote, "nothing there matches it"));
        }
        let is_folder = local.is_dir() || local.as_os_str().as_encoded_bytes().ends_with(b"/");
        if names.len() > 1 && !is_folder {
            return Err(CopyError::Here {
                path: local.to_owned(),
                why: format!(
                    "{} match and cannot all be it; name a folder that is there, or end it with a slash",
                    names.len()
                ),
            });
        }
        for (name, _) in names {
            let path = if folder == Path::new(".") { name } else { folder.join(name) };
            // Links are followed, as those that are named are.
            let copied = self.about(&path).and_then(|about| self.fetch_one(&path, &about, local, recursive));
            self.go_on(copied, |error| matches!(error, CopyError::There { .. }))?;
        }
        Ok(())
    }

    fn fetch_one(&mut self, remote: &Path, about: &FileStat, local: &Path, recursive: bool) -> Result<(), CopyError> {
        let is_folder = about.is_dir();
        if is_folder && !recursive {
            return Err(there(remote, "it is a folder; -r copies folders"));
        }
        if !is_folder && !about.is_file() {
            return Err(there(remote, "it is neither a file nor a folder"));
        }
        let to = place_here(local, &self.named(remote)?)?;
        if is_folder { self.folder_down(remote, &to, 0) } else { self.file_down(remote, about, &to) }
    }

    fn folder_down(&mut self, from: &Path, to: &Path, depth: u32) -> Result<(), CopyError> {
        if depth > DEEPEST {
            return Err(there(from, "folders lie too deep within each other"));
        }
        if !to.is_dir() {
            fs::create_dir_all(to).map_err(|e| here(to, &e))?;
        }
        for (name, about) in self.list(from)? {
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
