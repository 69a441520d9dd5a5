//! What options take, beyond plain texts and numbers.

use std::time::Duration;

use clap::ValueEnum;

use crate::{config::parse_duration, service::exec::Way};

/// How `get` prints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Table,
    Toml,
    Json,
}

/// How `exec` gets in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Via {
    #[default]
    Auto,
    Ssh,
    Agent,
}

impl From<Via> for Way {
    fn from(via: Via) -> Self {
        match via {
            Via::Auto => Self::Auto,
            Via::Ssh => Self::Ssh,
            Via::Agent => Self::Agent,
        }
    }
}

/// A span of time as written: not none.
pub(super) fn time_span(text: &str) -> Result<Duration, String> {
    let span = parse_duration(text).filter(|span| !span.is_zero());
    span.ok_or_else(|| "a time such as 30s, 5m or 1h30m".to_owned())
}

/// The number of a run.
pub(super) fn run_number(text: &str) -> Result<i64, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "a run is a number; `homeroom runs` lists them".to_owned())
}
