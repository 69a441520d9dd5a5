//! What SQLite and the file system say, in words that tell what to do next.

use std::{borrow::Borrow, io, path::Path};

use crate::port::StoreError;

/// A step of opening the store that failed.
pub(super) fn unusable(path: &Path, why: impl Into<String>) -> StoreError {
    StoreError::Unusable { path: path.display().to_string(), why: why.into() }
}

/// A file or folder that could not be used; `doing` names the attempt.
pub(super) fn io(path: &Path, doing: &str, error: &io::Error) -> StoreError {
    let next = match error.kind() {
        io::ErrorKind::PermissionDenied => "; this user needs to read and write there, or set [store] path elsewhere",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room there and try again",
        io::ErrorKind::ReadOnlyFilesystem => "; set [store] path to a place that can be written",
        io::ErrorKind::NotADirectory => "; a file stands where a folder is needed",
        _ => "",
    };
    unusable(path, format!("{doing}: {error}{next}"))
}

/// What SQLite said while the store was being opened.
pub(super) fn opening(path: &Path, error: &sqlx::Error) -> StoreError {
    unusable(path, no_room(path, error).unwrap_or_else(|| words(error)))
}

/// That the disk is full, where that is what an I/O error comes of: SQLite makes its shared memory beside the file before it
/// writes anything, and has no words of its own for one that does not fit.
fn no_room(path: &Path, error: &sqlx::Error) -> Option<String> {
    const LEAST: u64 = 64 * 1024;
    let folder = path.parent()?;
    let stat = rustix::fs::statvfs(folder).ok().filter(|_| matches!(code(error), Some(10 | 14)))?;
    let is_full = stat.f_bavail.saturating_mul(stat.f_frsize) < LEAST || (stat.f_files > 0 && stat.f_favail == 0);
    is_full.then(|| {
        format!("the disk of {} is full; nothing was written; make room there and try again", folder.display())
    })
}

/// The same, for one who only reads: SQLite's shared memory beside the file must be written even then.
pub(super) fn opening_to_read(path: &Path, error: &sqlx::Error) -> StoreError {
    let mut why = no_room(path, error).unwrap_or_else(|| words(error));
    if code(error) == Some(14) && !why.contains("is full") {
        why.push_str("; a reader too needs to write the folder, so let its user into the group of a shared store");
    }
    unusable(path, why)
}

/// What SQLite said to a statement.
pub(super) fn failed<E: Borrow<sqlx::Error>>(doing: &'static str) -> impl Fn(E) -> StoreError {
    move |error| StoreError::Failed { doing, why: words(error.borrow()) }
}

/// A stored body that this program cannot read.
pub(super) fn unreadable(doing: &'static str, what: &str, error: impl std::fmt::Display) -> StoreError {
    StoreError::Failed { doing, why: format!("{what} cannot be read: {error}") }
}

/// Primary result codes of SQLite (<https://sqlite.org/rescode.html>) that have a remedy.
pub(super) fn words(error: &sqlx::Error) -> String {
    let said = match error {
        sqlx::Error::Database(inner) => inner.message().to_owned(),
        other => other.to_string(),
    };
    let next = match code(error) {
        Some(5 | 6) => BUSY,
        Some(8) => "the file or its folder cannot be written by this user",
        Some(10) => "the disk is full, failed or was taken away; look at `df` and the kernel's log before going on",
        Some(11) => "the file is damaged; keep a copy of it and put a backup in its place",
        Some(13) => "nothing half-done was written; make room on that disk",
        Some(14) => "the file, or the -wal and -shm files beside it, cannot be opened or made by this user",
        Some(26) => "this file is no homeroom store; set [store] path to another file",
        _ => return said,
    };
    format!("{said}; {next}")
}

const BUSY: &str = "another process has been writing for too long; try again when it is done";

/// Whether these are the words for a write that another process keeps from being done.
pub(super) fn is_busy(words: &str) -> bool {
    words.ends_with(BUSY)
}

/// SQLite's primary result code.
fn code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?.parse::<i32>().ok()?;
    Some(code & 0xff)
}

/// Whether a row was refused because another with the same key is there.
pub(super) fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
