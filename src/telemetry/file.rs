//! A log file a day (UTC), readable by its owner only, or by the group of a store that is a team's; the oldest are
//! removed.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::Secrets;

/// Who may read and write the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Folders 0700, files 0600.
    Owner,
    /// The group of the folder above: folders setgid 2770, files 0660, as those of a shared store.
    Group,
}

impl Readers {
    fn modes(self) -> (u32, u32) {
        match self {
            Self::Owner => (0o700, 0o600),
            Self::Group => (0o2770, 0o660),
        }
    }
}

/// Writes to the file of the day. Expects whole lines: a secret cut in two by two writes is not seen.
pub struct DailyFile {
    folder: PathBuf,
    name: &'static str,
    /// Files kept, today's among them.
    keep: usize,
    secrets: Secrets,
    readers: Readers,
    day: Date,
    file: File,
}

impl DailyFile {
    /// Opens today's `NAME.YYYY-MM-DD.log` in `folder`. That folder and the one above, which is the store's, are made
    /// for these readers if missing. Several processes may write to one file: each line is appended in one piece.
    pub fn open(
        folder: &Path,
        name: &'static str,
        keep: usize,
        secrets: Secrets,
        readers: Readers,
    ) -> io::Result<Self> {
        let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
        if let Some(above) = above {
            if let Some(beyond) = above.parent().filter(|beyond| !beyond.as_os_str().is_empty()) {
                fs::create_dir_all(beyond)?;
            }
            make(above, readers)?;
        }
        if !make(folder, readers)? && readers == Readers::Group {
            // One person's until now: the group of the folder above it is let in.
            share(folder, readers.modes().0, above)?;
        }
        let day = today();
        let file = open_day(folder, name, day, readers)?;
        prune(folder, name, keep);
        Ok(Self { folder: folder.to_owned(), name, keep, secrets, readers, day, file })
    }

    /// Goes on in the file of `day`.
    fn turn_to(&mut self, day: Date) -> io::Result<()> {
        if day != self.day {
            self.file = open_day(&self.folder, self.name, day, self.readers)?;
            self.day = day;
            prune(&self.folder, self.name, self.keep);
        }
        Ok(())
    }
}

impl Write for DailyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Where the new day's file cannot be opened, yesterday's goes on.
        let _ = self.turn_to(today());
        let text = String::from_utf8_lossy(bytes);
        self.file.write_all(self.secrets.redact(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

fn open_day(folder: &Path, name: &str, day: Date, readers: Readers) -> io::Result<File> {
    let (path, mode) = (folder.join(format!("{name}.{day}.log")), readers.modes().1);
    let file = OpenOptions::new().create(true).append(true).mode(mode).open(&path)?;
    if readers == Readers::Group {
        share(&path, mode, Some(folder))?;
    }
    Ok(file)
}

/// Makes a folder for these readers; false where there is one.
fn make(folder: &Path, readers: Readers) -> io::Result<bool> {
    match DirBuilder::new().mode(0o700).create(folder) {
        // The mode given above would be cut by the umask; a team needs all of it.
        Ok(()) if readers == Readers::Group => {
            fs::set_permissions(folder, Permissions::from_mode(readers.modes().0)).map(|()| true)
        }
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e),
    }
}

/// Gives what is ours the mode, and the group of the folder `like`; what is another's stays as it is.
fn share(path: &Path, mode: u32, like: Option<&Path>) -> io::Result<()> {
    let meta = fs::metadata(path)?;
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    if let Some(like) = like {
        let group = fs::metadata(like)?.gid();
        if group != meta.gid() {
            chown(path, None, Some(group))?;
        }
    }
    if meta.mode() & 0o7777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// The day in a file's name, if it is one of ours.
fn day_of(file: &str, name: &str) -> Option<Date> {
    file.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(".log")?.parse().ok()
}

/// Removes all but the newest `keep`; what cannot be removed stays.
fn prune(folder: &Path, name: &str, keep: usize) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut ours: Vec<(Date, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((day_of(entry.file_name().to_str()?, name)?, entry.path()))
        })
        .collect();
    ours.sort();
    let surplus = ours.len().saturating_sub(keep);
    for (_, path) in &ours[..surplus] {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_day_begins_a_new_file_and_the_oldest_go() {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join("log");
        let mut file = DailyFile::open(&folder, "homeroom", 3, Secrets::default(), Readers::Owner).unwrap();
        fs::write(folder.join("homeroom.notes.log"), "mine").unwrap();
        fs::write(folder.join("other.2020-01-01.log"), "mine").unwrap();
        let first = today();
        for days in 1..=4 {
            file.turn_to(first.checked_add(jiff::Span::new().days(days)).unwrap()).unwrap();
        }
        let ours: Vec<_> = names(&folder).into_iter().filter(|n| day_of(n, "homeroom").is_some()).collect();
        let last = first.checked_add(jiff::Span::new().days(4)).unwrap();
        assert_eq!((ours.len(), ours.last().unwrap()), (3, &format!("homeroom.{last}.log")));
        assert!(names(&folder).contains(&"homeroom.notes.log".to_owned()));
        assert!(names(&folder).contains(&"other.2020-01-01.log".to_owned()));
    }

    #[test]
    fn only_its_owner_may_read_the_log_or_the_group_of_a_shared_store() {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().join("share").join("homeroom");
        let folder = state.join("log");
        let open = |readers| drop(DailyFile::open(&folder, "homeroom", 3, Secrets::default(), readers).unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        let modes = || [mode(&state), mode(&folder), mode(&folder.join(&names(&folder)[0]))];
        open(Readers::Owner);
        assert_eq!(modes(), [0o700, 0o700, 0o600]);
        // The store's own folder is opened by whoever owns it; what lies in it follows.
        open(Readers::Group);
        assert_eq!(modes(), [0o700, 0o2770, 0o660]);
        fs::remove_dir_all(&state).unwrap();
        open(Readers::Group);
        assert_eq!(modes(), [0o2770, 0o2770, 0o660]);
    }

    #[test]
    fn a_second_process_adds_to_the_same_file() {
        let state = tempfile::tempdir().unwrap();
        let mut one = DailyFile::open(state.path(), "homeroom", 3, Secrets::default(), Readers::Owner).unwrap();
        let mut two = DailyFile::open(state.path(), "homeroom", 3, Secrets::default(), Readers::Owner).unwrap();
        one.write_all(b"one\n").unwrap();
        two.write_all(b"two\n").unwrap();
        one.write_all(b"three\n").unwrap();
        let text: String =
            names(state.path()).iter().map(|n| fs::read_to_string(state.path().join(n)).unwrap()).collect();
        assert_eq!(text, "one\ntwo\nthree\n");
    }
}
