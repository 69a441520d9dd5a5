//! What can be wrong with a file, a setting or a secret, in one or two lines.

use std::{fmt, path::PathBuf};

use thiserror::Error;

/// A file, setting or secret that cannot be used. Its text never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// A document says something it may not.
    #[error("{place}: {message}")]
    Document {
        place: Place,
        /// What it is about, as a path: `machine.memory`; empty for the whole.
        key: String,
        message: String,
    },
    /// A file could not be read.
    #[error("cannot read {}: {why}", path.display())]
    Unreadable { path: PathBuf, why: String },
    /// No site of that name is configured.
    #[error("{0}")]
    NoSite(String),
    /// A secret could not be had from where it lies.
    #[error("{place}: {key}: {why}")]
    Secret { place: Place, key: String, why: String },
    /// Several at once, a line each.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<ConfigError>),
    /// Neither `HOME` nor the user database says where home is.
    #[error("cannot tell where your home folder is; set HOME, or give --config FILE")]
    NoHome,
}

impl ConfigError {
    /// All of them as one; of none, that of an empty list.
    pub fn together(mut errors: Vec<Self>) -> Self {
        match errors.len() {
            1 => errors.remove(0),
            _ => Self::Several(errors),
        }
    }

    /// Each of several by itself.
    pub fn each(self) -> Vec<Self> {
        match self {
            Self::Several(all) => all,
            one => vec![one],
        }
    }

    /// What it is about, as a path.
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::Document { key, .. } => Some(key),
            _ => None,
        }
    }

    /// Where it stands.
    pub(super) fn line(&self) -> Option<usize> {
        match self {
            Self::Document { place, .. } => place.line,
            _ => None,
        }
    }
}

/// Where in which document: `homeroom.toml:12`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub origin: String,
    /// From 1; absent for what concerns the whole document.
    pub line: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.origin),
            None => f.write_str(&self.origin),
        }
    }
}

/// Something that works but should be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub place: Place,
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}
