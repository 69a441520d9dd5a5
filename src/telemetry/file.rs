//! A log file a day (UTC), readable by its owner only; the oldest are removed.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::Secrets;

/// Writes to the file of the day. Expects whole lines: a secret cut in two by two writes is not seen.
pub struct DailyFile {
    folder: PathBuf,
    name: &'static str,
    /// Files kept, today's among them.
    keep: usize,
    secrets: Secrets,
    day: Date,
    file: File,
}

impl DailyFile {
    /// Opens today's `NAME.YYYY-MM-DD.log` in `folder`, made (0700) if missing. Several processes may
    /// write to one file: each line is appended in one piece.
    pub fn open(folder: &Path, name: &'static str, keep: usize, secrets: Secrets) -> io::Result<Self> {
        if let Some(above) = folder.parent() {
            fs::create_dir_all(above)?;
        }
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        let day = today();
        let file = open_day(folder, name, day)?;
        prune(folder, name, keep);
        Ok(Self { folder: folder.to_owned(), name, keep, secrets, day, file })
    }

    /// Goes on in the file of `day`.
    fn turn_to(&mut self, day: Date) -> io::Result<()> {
        if day != self.day {
            self.file = open_day(&self.folder, self.name, day)?;
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

fn open_day(folder: &Path, name: &str, day: Date) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(folder.join(format!("{name}.{day}.log")))
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
    use std::os::unix::fs::PermissionsExt;

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
        let mut file = DailyFile::open(&folder, "homeroom", 3, Secrets::default()).unwrap();
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
    fn only_its_owner_may_read_the_log() {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join("log");
        drop(DailyFile::open(&folder, "homeroom", 3, Secrets::default()).unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join(&names(&folder)[0])), 0o600);
    }

    #[test]
    fn a_second_process_adds_to_the_same_file() {
        let state = tempfile::tempdir().unwrap();
        let mut one = DailyFile::open(state.path(), "homeroom", 3, Secrets::default()).unwrap();
        let mut two = DailyFile::open(state.path(), "homeroom", 3, Secrets::default()).unwrap();
        one.write_all(b"one\n").unwrap();
        two.write_all(b"two\n").unwrap();
        one.write_all(b"three\n").unwrap();
        let text: String =
            names(state.path()).iter().map(|n| fs::read_to_string(state.path().join(n)).unwrap()).collect();
        assert_eq!(text, "one\ntwo\nthree\n");
    }
}
