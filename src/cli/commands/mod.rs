//! One file per command: what it asks the services, and how it says the answer.

pub mod check;
pub mod definitions;
pub mod deploy;
pub mod destroy;
pub mod inventory;
pub mod logs;
pub mod plan;
pub mod roster;
pub mod runs;
pub mod ssh;
pub mod status;

use crate::{
    cli::{exit::CliError, output::Output},
    domain::{LabName, SeatName, SiteName},
    service::Homeroom,
};
use std::sync::Arc;

/// What every command has at hand.
pub struct Context {
    pub home: Arc<Homeroom>,
    pub out: Output,
    pub verbose: bool,
    /// `--site`: nothing else is looked at.
    pub site: Option<SiteName>,
}

impl Context {
    /// Whether a site is asked for.
    pub fn wants(&self, site: &SiteName) -> bool {
        self.site.as_ref().is_none_or(|only| only == site)
    }
}

/// A lab's name as typed.
pub fn lab(text: &str) -> Result<LabName, CliError> {
    LabName::new(text).map_err(|e| CliError::Usage(e.to_string()))
}

/// `LAB` or `LAB/SEAT`, several of the same lab: the lab, and the seats if any are named.
pub fn lab_and_seats(what: &[String]) -> Result<(LabName, Vec<SeatName>), CliError> {
    let mut found: Option<LabName> = None;
    let mut seats = Vec::new();
    for text in what {
        let (name, seat) = match text.split_once('/') {
            Some((name, seat)) => (lab(name)?, Some(SeatName::new(seat).map_err(|e| CliError::Usage(e.to_string()))?)),
            None => (lab(text)?, None),
        };
        if found.as_ref().is_some_and(|known| *known != name) {
            return Err(CliError::Usage("one lab at a time: every LAB/SEAT must be of the same lab".to_owned()));
        }
        found = Some(name);
        seats.extend(seat);
    }
    found.map(|lab| (lab, seats)).ok_or_else(|| CliError::Usage("name a lab".to_owned()))
}
