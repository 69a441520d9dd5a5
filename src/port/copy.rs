//! Files in and out of a machine, over a login by SSH.

use std::path::PathBuf;

use thiserror::Error;

use super::shell::ShellError;
use crate::domain::Clean;

/// What is to be copied. A path there that does not begin with `/` counts from the user's home, as `~/` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    pub direction: Direction,
    /// Here.
    pub local: PathBuf,
    /// There.
    pub remote: String,
    /// Folders with all that is in them; without, a folder is an error.
    pub recursive: bool,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From here to the machine.
    Up,
    /// From the machine to here.
    Down,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    pub files: u64,
    pub bytes: u64,
    /// What was left out, being neither a file nor a folder: links in a folder, sockets, devices.
    pub skipped: Vec<Clean>,
    /// Of a folder: files and folders that could not be copied, while the others were; the first of them, each with why.
    pub failed: Vec<Clean>,
    /// How many those are in all.
    pub failures: u64,
}

/// Files copied before the failure stay.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CopyError {
    #[error(transparent)]
    Shell(#[from] ShellError),
    /// A file on this computer.
    #[error("{}: {why}", path.display())]
    Here { path: PathBuf, why: String },
    /// A file on the machine.
    #[error("{path} there: {why}")]
    There { path: Clean, why: Clean },
}
