//! What an upload leaves that is broken off: a part of a file, beside the place it was for. The next upload to that folder
//! removes it, once it is certain that nobody writes it any more.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};
use sha2::Digest as _;

use super::There;
use crate::port::copy::CopyError;

/// A file on its way.
pub(super) const NEW: &str = ".homeroom-new-";
/// What makes way for it, for a moment. Nobody but a person may remove one: it may be all that is left of a file.
pub(super) const OLD: &str = ".homeroom-old-";
/// Names of a folder that are looked at: one with more is somebody else's business.
const MOST_NAMES: usize = 10_000;
/// No upload is silent for so long, in seconds by the clock over there.
const DEAD_AFTER: u64 = 3600;

/// A name in the same folder that nothing has, and that says whose it is.
pub(super) fn beside(path: &Path, kind: &str) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    path.with_file_name(format!("{kind}{}-{}-{}", origin(), std::process::id(), now.as_nanos()))
}

/// Stands for the processes among which this one's number means something: of this computer, since it was started, in
/// this container. `0` where that cannot be told.
fn origin() -> &'static str {
    static ORIGIN: OnceLock<String> = OnceLock::new();
    ORIGIN.get_or_init(|| {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let numbers = std::fs::read_link("/proc/self/ns/pid");
        match (boot, numbers) {
            (Ok(boot), Ok(numbers)) => {
                let digest =
                    sha2::Sha256::new().chain_update(boot).chain_update(numbers.as_os_str().as_encoded_bytes());
                digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
            }
            _ => "0".to_owned(),
        }
    })
}

/// Who writes a file, by its name; none where the name is not of the kind that [`beside`] makes.
fn writer(name: &str) -> Option<(&str, i32)> {
    let mut parts = name.strip_prefix(NEW)?.split('-');
    let (origin, process, at) = (parts.next()?, parts.next()?, parts.next()?);
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_ours = parts.next().is_none()
        && origin.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        && number(process)
        && number(at);
    is_ours.then(|| Some((origin, process.parse().ok()?))).flatten()
}

/// Whether nobody writes it any more: its process is known to be gone, or it has not been written to for long.
fn is_left(name: &str, written: Option<u64>, now: Option<u64>) -> bool {
    let Some((from, process)) = writer(name) else { return false };
    let gone = || Pid::from_raw(process).is_some_and(|process| test_kill_process(process) == Err(Errno::SRCH));
    let old = written.zip(now).is_some_and(|(written, now)| now.saturating_sub(written) > DEAD_AFTER);
    old || (from != "0" && from == origin() && gone())
}

impl There<'_> {
    /// Removes what earlier uploads left in the folder of a file that was just begun. What cannot be read or removed
    /// stays.
    pub(super) fn sweep(&mut self, begun: &Path) -> Result<(), CopyError> {
        let folder = begun.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !self.swept.insert(folder.to_owned()) {
            return Ok(());
        }
        let wait = |ask: &mut dyn FnMut() -> Result<(), ssh2::Error>| {
            self.patience.wait(self.session, self.silence, ask).map(|done| done.is_ok())
        };
        let mut now = None;
        wait(&mut || self.sftp.stat(begun).map(|about| now = about.mtime))?;
        let mut open = None;
        wait(&mut || self.sftp.opendir(folder).map(|folder| open = Some(folder)))?;
        let Some(mut open) = open else { return Ok(()) };
        let mut left = Vec::new();
        for _ in 0..MOST_NAMES {
            let mut found = None;
            if !wait(&mut || open.readdir().map(|entry| found = Some(entry)))? {
                break;
            }
            if let Some((name, about)) = found
                && about.is_file()
                && name.to_str().is_some_and(|name| is_left(name, about.mtime, now))
            {
                left.push(folder.join(name));
            }
        }
        wait(&mut || open.close())?;
        for path in left {
            let gone = wait(&mut || self.sftp.unlink(&path))?;
            tracing::debug!(path = %path.display(), gone, "what an upload left that was broken off");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_what_one_of_us_left_and_nobody_writes_any_more_is_taken_for_left() {
        let (own, hour) = (origin(), DEAD_AFTER + 1);
        // A process that has ended.
        let gone = std::process::Command::new("true").spawn().unwrap();
        let number = gone.id();
        let mut gone = gone;
        gone.wait().unwrap();
        let of_gone = format!("{NEW}{own}-{number}-17");
        assert!(is_left(&of_gone, Some(1), Some(1)), "{of_gone}");
        let now = beside(Path::new("/tmp/a"), NEW);
        let now = now.file_name().unwrap().to_str().unwrap();
        assert!(!is_left(now, Some(1), Some(1)), "this process is at it");
        assert!(is_left(now, Some(1), Some(1 + hour)), "{now}");
        let other = format!("{NEW}00ff-{number}-17");
        assert!(!is_left(&other, Some(1), Some(1)) && !is_left(&other, None, Some(1 + hour)));
        assert!(is_left(&other, Some(1), Some(1 + hour)));
        for not_ours in [
            format!("{OLD}{own}-{number}-17"),
            format!("{NEW}{own}-{number}"),
            format!("{NEW}{own}-{number}-17-3"),
            format!("{NEW}{own}-x-17"),
            format!("x{of_gone}"),
            ".homeroom-notes".to_owned(),
            "work.txt".to_owned(),
        ] {
            assert!(!is_left(&not_ours, Some(1), Some(1 + hour)), "{not_ours}");
        }
    }
}
