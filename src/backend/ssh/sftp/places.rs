//! Names of places here and there, and what is wrong with them in words. Opens nothing.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{domain::Clean, port::copy::CopyError};

/// A path there: `~` is where one begins anyway.
pub(super) fn from_home(path: &str) -> PathBuf {
    let path = match path.strip_prefix("~/") {
        Some(path) => path.trim_start_matches('/'),
        None => path,
    };
    PathBuf::from(if matches!(path, "" | "~") { "." } else { path })
}

pub(super) fn name_here(path: &Path) -> Result<std::ffi::OsString, CopyError> {
    let named = |path: &Path| path.file_name().map(OsStr::to_owned);
    // `.` and `..` are folders with names too.
    named(path)
        .or_else(|| fs::canonicalize(path).ok().as_deref().and_then(named))
        .ok_or_else(|| CopyError::Here { path: path.to_owned(), why: "it has no name of its own".to_owned() })
}

/// Where something from there goes: into a folder that is here or is meant by a slash, else under the very name given.
pub(super) fn place_here(to: &Path, from: &Path) -> Result<PathBuf, CopyError> {
    if !to.is_dir() && !to.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Ok(to.to_owned());
    }
    let name = from.file_name().ok_or_else(|| there(from, "it has no name; say what it is to be called here"))?;
    Ok(to.join(name))
}

/// A name that stays in its folder.
pub(super) fn plain_name(name: &Path) -> Option<&OsStr> {
    let bytes = name.as_os_str().as_encoded_bytes();
    let plain = !bytes.is_empty() && !bytes.contains(&b'/') && !bytes.contains(&0);
    (plain && name.file_name() == Some(name.as_os_str())).then_some(name.as_os_str())
}

pub(super) fn here(path: &Path, error: &io::Error) -> CopyError {
    let text = error.to_string();
    CopyError::Here { path: path.to_owned(), why: text.split(" (os error").next().unwrap_or(&text).to_owned() }
}

pub(super) fn is_folder_here(path: &Path) -> CopyError {
    CopyError::Here { path: path.to_owned(), why: "it is a folder; -r copies folders".to_owned() }
}

pub(super) fn there(path: &Path, why: impl AsRef<str>) -> CopyError {
    CopyError::There { path: Clean::new(path.to_string_lossy()), why: Clean::new(why) }
}

/// What a server's refusal means.
pub(super) fn sftp_words(code: i32) -> &'static str {
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
