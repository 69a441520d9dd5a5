//! One run per lab: an OS file lock per lab, given back by the kernel when its process dies.
//!
//! The text in the file only says who holds it. Files are never removed: a lock on a file that
//! another process has replaced would hold nothing.

use std::{
    fs::File,
    io::{ErrorKind, Read, Seek, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::{error, folder::Places};
use crate::{
    domain::{Clean, LabName},
    port::{StoreError, store::LabLock},
};

/// How often a taken lock is tried again, and the wait between: somebody who merely looks
/// (`holder`) holds it for some microseconds.
const LOOKS: u32 = 5;
const LOOK: Duration = Duration::from_millis(10);
/// Whoever opens the store has done so after this long; making it on a slow disk takes a second.
const OPENING: Duration = Duration::from_secs(30);

/// A held lock: the open file is the lock.
struct Held {
    lab: LabName,
    file: File,
}

impl LabLock for Held {
    fn lab(&self) -> &LabName {
        &self.lab
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Closing the file would free the lock too, but not while a program that is just being started
        // (between fork and exec) still has a copy of it. The text is only tidied away.
        let _ = self.file.set_len(0);
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// A lab's file. Lab names hold no dots or slashes.
fn path_of(places: &Places, lab: &LabName) -> PathBuf {
    places.locks.join(format!("{lab}.lock"))
}

/// Takes the lab's lock or says who holds it.
pub(super) async fn take(places: &Places, lab: &LabName, owner: &str) -> Result<Box<dyn LabLock>, StoreError> {
    let path = path_of(places, lab);
    let mut file = places.open_lock(&path)?;
    let mut looks = 0;
    while !try_lock(&path, &file, FlockOperation::NonBlockingLockExclusive)? {
        looks += 1;
        if looks == LOOKS {
            return Err(StoreError::Held { lab: lab.clone(), holder: text_of(&path, &mut file)? });
        }
        tokio::time::sleep(LOOK).await;
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.write_all(Clean::new(owner).as_str().as_bytes())
    };
    write(&mut file).map_err(|e| error::io(&path, "writing who holds it", &e))?;
    Ok(Box::new(Held { lab: lab.clone(), file }))
}

/// Who holds the lab's lock, if anyone: tried, not believed.
pub(super) fn holder(places: &Places, lab: &LabName) -> Result<Option<String>, StoreError> {
    let path = path_of(places, lab);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(error::io(&path, "looking who holds it", &e)),
    };
    // Shared, so that two who look do not take each other for a holder.
    if try_lock(&path, &file, FlockOperation::NonBlockingLockShared)? {
        return Ok(None);
    }
    text_of(&path, &mut file).map(Some)
}

/// Waits for the lock that guards the making and migrating of the store itself. Its name is none
/// a lab can have. A process that stands still while it has it is named.
pub(super) fn wait_for_store(places: &Places) -> Result<File, StoreError> {
    let path = places.locks.join(".store");
    let file = places.open_lock(&path)?;
    let began = Instant::now();
    while !try_lock(&path, &file, FlockOperation::NonBlockingLockExclusive)? {
        if began.elapsed() > OPENING {
            let still = file.metadata().ok().and_then(|meta| stopped(meta.ino()));
            let who = still.map(|pid| format!(" (process {pid}: {})", told(pid))).unwrap_or_default();
            return Err(error::unusable(
                &places.file,
                format!("another process has been opening it for too long{who}"),
            ));
        }
        std::thread::sleep(LOOK);
    }
    Ok(file)
}

fn try_lock(path: &Path, file: &File, how: FlockOperation) -> Result<bool, StoreError> {
    match flock(file, how) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(e) => Err(error::io(path, "locking it", &e.into())),
    }
}

fn text_of(path: &Path, file: &mut File) -> Result<String, StoreError> {
    let mut bytes = Vec::new();
    file.rewind()
        .and_then(|()| file.take(4096).read_to_end(&mut bytes))
        .map_err(|e| error::io(path, "reading who holds it", &e))?;
    let text = Clean::new(String::from_utf8_lossy(&bytes));
    if text.is_empty() {
        return Ok("another process".to_owned());
    }
    let still = file.metadata().ok().and_then(|meta| stopped(meta.ino()));
    Ok(match still {
        Some(pid) => format!("{text} ({})", told(pid)),
        None => text.to_string(),
    })
}

/// What is to be known of a process that stands still.
fn told(pid: u32) -> String {
    format!("stopped by a signal, it does not move: `kill -CONT {pid}` has it go on, `kill -KILL {pid}` ends it")
}

/// Who keeps everybody from writing because it was stopped in the midst of a write. SQLite's lock for that lies on the
/// memory that its processes share.
pub(super) fn who_writes(places: &Places) -> Option<String> {
    let mut path = places.file.clone().into_os_string();
    path.push("-shm");
    let pid = stopped(std::fs::metadata(path).ok()?.ino())?;
    Some(format!("process {pid} is in the midst of a write, and was {}", told(pid)))
}

/// The process that has a file locked against all others, by the kernel's table (proc_locks(5)), where it was stopped: it
/// keeps the lock for as long as it lives and does nothing.
fn stopped(inode: u64) -> Option<u32> {
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let of_file = |line: &&str| line.contains(" WRITE ") && line.contains(&format!(":{inode} "));
    let holders = locks.lines().filter(of_file).filter_map(|line| line.split_whitespace().nth(4)?.parse().ok());
    let stat = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    holders.into_iter().find(|pid| stat(pid).is_some_and(|stat| is_stopped(&stat)))
}

/// Whether this line of `/proc/PID/stat` is of a stopped process. Its name stands in brackets and may hold any.
fn is_stopped(stat: &str) -> bool {
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_as_stopped_whatever_it_calls_itself() {
        assert!(is_stopped("4711 (homeroom) T 1 4711"));
        assert!(!is_stopped("4711 (a) T 1 (b) S 1 4711"));
        assert!(!is_stopped("4711 (homeroom) S 1 4711"));
    }
}
