//! Where the store lies: its folder, its files and their modes.
//!
//! Alone: folder 0700, files 0600. Shared by a team of Unix users: folder setgid 2770, files 0660.
//! Only what is made here gets a mode; a folder that was there is never changed.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use super::{error, network};
use crate::{domain::StoreId, port::StoreError};

/// The places of one store.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// The database file.
    pub file: PathBuf,
    /// The folder of lab locks.
    pub locks: PathBuf,
    pub shared: bool,
}

impl Places {
    /// Resolves `~` and finds the folder; touches nothing.
    pub fn of(path: &Path, shared: bool) -> Result<Self, StoreError> {
        let file = match path.strip_prefix("~") {
            Ok(rest) => {
                let home = etcetera::home_dir()
                    .map_err(|e| error::unusable(path, format!("~ cannot be resolved: {e}; write the whole path")))?;
                home.join(rest)
            }
            Err(_) => path.to_owned(),
        };
        if file.file_name().is_none() || file.is_dir() {
            return Err(error::unusable(&file, "this is a folder; [store] path must name a file"));
        }
        let file = std::path::absolute(&file).map_err(|e| error::io(&file, "finding the folder", &e))?;
        let locks = folder_of(&file).join("locks");
        Ok(Self { file, locks, shared })
    }

    pub fn folder(&self) -> &Path {
        folder_of(&self.file)
    }

    /// Refuses network file systems; asked of the nearest folder that exists.
    pub fn refuse_network(&self) -> Result<(), StoreError> {
        let Some(existing) = self.folder().ancestors().find(|folder| folder.exists()) else { return Ok(()) };
        match network::refusal(existing) {
            Ok(None) => Ok(()),
            Ok(Some(reason)) => Err(error::unusable(&self.file, reason)),
            Err(e) => Err(error::io(existing, "asking for its file system", &e)),
        }
    }

    /// Makes the folders that are missing, with their modes.
    pub fn prepare_folders(&self) -> Result<(), StoreError> {
        self.folder_ready(self.folder())?;
        if self.shared && self.locks.exists() {
            // A store that was one person's until now; its own folder was opened to the group by hand.
            share(&self.locks, 0o2770, self.folder())?;
        }
        self.folder_ready(&self.locks)?;
        if self.shared {
            let locks = fs::read_dir(&self.locks).map_err(|e| error::io(&self.locks, "reading it", &e))?;
            for lock in locks.flatten() {
                share(&lock.path(), 0o660, self.folder())?;
            }
        }
        Ok(())
    }

    /// Makes the database file if it is missing; to be called under the store's own lock.
    ///
    /// A file that is there is not opened: SQLite's locks belong to the process, and closing any
    /// handle on the file would take them from a store that this process has open already.
    pub fn prepare_file(&self) -> Result<(), StoreError> {
        drop(self.make_file(&self.file)?);
        if self.shared {
            // A store that was one person's until now: what SQLite made beside it follows.
            for suffix in ["", "-wal", "-shm", ".id"] {
                let mut path = self.file.clone().into_os_string();
                path.push(suffix);
                share(Path::new(&path), 0o660, self.folder())?;
            }
        }
        Ok(())
    }

    /// The identity of the store that lay here, as it was written down beside it.
    pub fn kept_identity(&self) -> Option<StoreId> {
        StoreId::parse(fs::read_to_string(self.identity()).ok()?.trim())
    }

    /// Writes the store's identity down beside it, so that a store made anew in its place knows its machines. One
    /// that is written down already is only replaced where the store in its place is another.
    pub fn keep_identity(&self, id: &StoreId) -> Result<(), StoreError> {
        if self.kept_identity().as_ref() == Some(id) {
            return Ok(());
        }
        let path = self.identity();
        drop(self.make_file(&path)?);
        fs::write(&path, format!("{id}\n")).map_err(|e| error::io(&path, "writing the store's identity", &e))
    }

    fn identity(&self) -> PathBuf {
        let mut path = self.file.clone().into_os_string();
        path.push(".id");
        path.into()
    }

    /// Opens a lock file for reading and writing, made with the store's mode if missing.
    /// It is not inherited by child processes (the standard library sets `O_CLOEXEC`).
    pub fn open_lock(&self, path: &Path) -> Result<File, StoreError> {
        match self.make_file(path)? {
            Some(file) => Ok(file),
            None => File::options().read(true).write(true).open(path).map_err(|e| error::io(path, "opening it", &e)),
        }
    }

    /// Makes a file with the store's mode; `None` where it is there already.
    fn make_file(&self, path: &Path) -> Result<Option<File>, StoreError> {
        let mode = if self.shared { 0o660 } else { 0o600 };
        match File::options().read(true).write(true).create_new(true).mode(mode).open(path) {
            Ok(file) => {
                // The mode given above is cut by the umask; a team needs all of it.
                let set = file.set_permissions(Permissions::from_mode(mode));
                set.map_err(|e| error::io(path, "setting its mode", &e)).map(|()| Some(file))
            }
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(None),
            Err(e) => Err(error::io(path, "creating it", &e)),
        }
    }

    fn folder_ready(&self, folder: &Path) -> Result<(), StoreError> {
        if let Some(above) = folder.parent() {
            fs::create_dir_all(above).map_err(|e| error::io(above, "creating the folder", &e))?;
        }
        match DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) if self.shared => fs::set_permissions(folder, Permissions::from_mode(0o2770))
                .map_err(|e| error::io(folder, "setting its mode", &e)),
            Ok(()) => Ok(()),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => self.folder_is_shared(folder),
            Err(e) => Err(error::io(folder, "creating the folder", &e)),
        }
    }

    /// A folder that was there must let the team in by itself.
    fn folder_is_shared(&self, folder: &Path) -> Result<(), StoreError> {
        let mode = fs::metadata(folder).map_err(|e| error::io(folder, "looking at it", &e))?.mode();
        if self.shared && mode & 0o2070 != 0o2070 {
            return Err(error::unusable(
                folder,
                format!(
                    "[store] shared = true, but the folder's mode is {:o}; \
                     run `chgrp GROUP {path} && chmod 2770 {path}`",
                    mode & 0o7777,
                    path = folder.display()
                ),
            ));
        }
        Ok(())
    }
}

/// Opens a file or folder of our own to the group of the store's folder; one of somebody else's is left as it is.
fn share(path: &Path, mode: u32, like: &Path) -> Result<(), StoreError> {
    let (Ok(meta), Ok(folder)) = (fs::metadata(path), fs::metadata(like)) else { return Ok(()) };
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    if meta.gid() != folder.gid() {
        chown(path, None, Some(folder.gid())).map_err(|e| error::io(path, "giving it to the folder's group", &e))?;
    }
    if meta.mode() & 0o7777 != mode {
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|e| error::io(path, "setting its mode", &e))?;
    }
    Ok(())
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("/"))
}
