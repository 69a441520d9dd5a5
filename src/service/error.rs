//! What a use case can end in other than well, sorted by what the person can do about it.

use thiserror::Error;

use crate::{
    domain::{LabName, SeatName, SiteName},
    port::{CloudError, EngineError, SiteError, StoreError, agent::AgentError, keys::KeyError, shell::ShellError},
};

#[derive(Debug, Error)]
pub enum ServiceError {
    #[error("no site is called {site}; the configuration has {}", list(.known))]
    NoSite { site: SiteName, known: Vec<String> },
    #[error("{lab} has no seat {seat}; it has {}", list(.known))]
    NoSeat { lab: LabName, seat: SeatName, known: Vec<String> },
    /// The plan cannot be made; every reason, each with what to do.
    #[error("{lab} cannot be planned:{}", lines(.problems))]
    Problems { lab: LabName, problems: Vec<String> },
    /// What was asked needs a yes that was not given.
    #[error("refused: {0}")]
    Refused(String),
    /// Not possible as things stand; what is, and what to do.
    #[error("{0}")]
    NotNow(String),
    #[error(transparent)]
    Site(#[from] SiteError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Cloud(#[from] CloudError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Shell(#[from] ShellError),
    #[error(transparent)]
    Agent(#[from] AgentError),
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// One on the same line; several below each other.
fn lines(problems: &[String]) -> String {
    match problems {
        [one] => format!(" {one}"),
        several => several.iter().map(|problem| format!("\n  {problem}")).collect(),
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
