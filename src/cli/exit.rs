//! Exit codes, and which error ends in which.

use std::{path::PathBuf, process::ExitCode};

use crate::{
    config::ConfigError,
    domain::{Clean, event::RunState},
    service::{ServiceError, ShellError, StoreError},
};

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done,
    Failed,
    /// Usage or configuration; also an unknown lab, and a host key nobody trusted yet.
    Usage,
    /// Some machines failed, or the lab is not ready.
    NotReady,
    /// Not confirmed, held by another run, read-only, or it would remove or restart.
    Refused,
    Interrupted,
    /// What a command on a seat ended with.
    Command(u8),
}

impl Exit {
    /// As OpenSSH's client ends where the connection is lost, or is left by `~.`: no command ends so by itself.
    pub const LOST: Self = Self::Command(255);
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NotReady => 3,
            Exit::Refused => 4,
            Exit::Interrupted => 130,
            Exit::Command(code) => code,
        })
    }
}

impl From<RunState> for Exit {
    fn from(state: RunState) -> Self {
        match state {
            RunState::Done => Self::Done,
            RunState::Failed => Self::NotReady,
            RunState::Interrupted | RunState::Cancelled => Self::Interrupted,
            RunState::Running => Self::Failed,
        }
    }
}

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error("{0}")]
    Usage(String),
    /// Understood, and not to be had.
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Service(Box<ServiceError>),
    /// What was typed in an editor cannot be taken, and is not lost.
    #[error("{error}\nyour text is kept in {}", kept.display())]
    Kept { error: String, kept: PathBuf, exit: Exit },
    /// No plan could be made, where the exit code of a plan tells what it would change.
    #[error(transparent)]
    Unplanned(Box<CliError>),
    /// Somebody asked for the end in the middle.
    #[error("{0}")]
    Stopped(String),
    /// A terminal or a command on a seat was under way.
    #[error("{host}: the connection was lost: {why}")]
    Lost { host: String, why: Clean },
    #[error("{doing}: {}", plain(source))]
    Io { doing: String, source: std::io::Error },
}

/// An I/O error without Rust's number.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

impl From<ServiceError> for CliError {
    fn from(error: ServiceError) -> Self {
        Self::Service(Box::new(error))
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        ServiceError::from(error).into()
    }
}

impl CliError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Config(_) => Exit::Usage,
            Self::Refused(_) => Exit::Refused,
            Self::Kept { exit, .. } => *exit,
            Self::Lost { .. } => Exit::LOST,
            Self::Stopped(_) => Exit::Interrupted,
            Self::Io { .. } | Self::Unplanned(_) => Exit::Failed,
            Self::Service(error) => match &**error {
                ServiceError::NoSite { .. } | ServiceError::NoSeat { .. } | ServiceError::Problems { .. } => {
                    Exit::Usage
                }
                ServiceError::Store(StoreError::NoLab(_) | StoreError::NoRun(_)) => Exit::Usage,
                ServiceError::Refused(_)
                | ServiceError::Store(StoreError::Held { .. } | StoreError::ReadOnly { .. }) => Exit::Refused,
                ServiceError::Shell(ShellError::UnknownHost { .. }) => Exit::Usage,
                _ => Exit::Failed,
            },
        }
    }
}
