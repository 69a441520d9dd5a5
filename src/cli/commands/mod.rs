//! One file per command: what it asks the services, and how it says the answer.

pub mod adopt;
pub mod check;
pub mod cp;
pub mod definitions;
pub mod deploy;
pub mod destroy;
pub mod doctor;
pub mod ends;
pub mod exec;
mod gantt;
pub mod inventory;
pub mod join;
pub mod key;
mod log_excerpt;
pub mod logs;
pub mod plan;
pub mod rebuild;
pub mod report;
pub mod resume;
pub mod roster;
pub mod runs;
pub mod ssh;
pub mod status;

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    cli::{exit::CliError, output::Output},
    domain::{LabName, SeatName, SiteName},
    service::Homeroom,
};

/// What every command has at hand.
pub struct Context {
    pub home: Arc<Homeroom>,
    pub out: Output,
    /// Modelled seconds in one of the wall's; 1 but for a simulated cluster.
    pub speed: f64,
    pub verbose: bool,
    /// Signs beyond ASCII may be printed.
    pub unicode: bool,
    /// Nobody waits for the end of a run: this process carries it out apart from every terminal.
    pub detached: bool,
    /// `--site`: nothing else is looked at.
    pub site: Option<SiteName>,
}

impl Context {
    /// Says whose seconds were told: times of day are the wall's whatever the cluster's speed, how long things took
    /// is the cluster's.
    pub fn say_whose_seconds(&self) {
        if self.speed != 1.0 {
            self.out.line(format!("seconds are the simulated cluster's: {} in one of the wall's", self.speed));
        }
    }

    /// Whether a site is asked for.
    pub fn wants(&self, site: &SiteName) -> bool {
        self.site.as_ref().is_none_or(|only| only == site)
    }

    /// A lab's name as typed. With `--site`, the lab must be on that site.
    pub async fn lab(&self, text: &str) -> Result<LabName, CliError> {
        let lab = LabName::new(text).map_err(|e| CliError::Usage(e.to_string()))?;
        if let Some(only) = &self.site {
            let stored = self.home.definition(&lab).await?;
            let site = stored.definition.site();
            if site != only {
                return Err(CliError::Usage(format!("{lab} is on site {site}, not on {only}; leave --site out")));
            }
        }
        Ok(lab)
    }

    /// `LAB` or `LAB/SEAT`, several of the same lab: the lab, and the seats if any are named.
    pub async fn lab_and_seats(&self, what: &[String]) -> Result<(LabName, Vec<SeatName>), CliError> {
        let mut found: Option<LabName> = None;
        let (mut seats, mut whole) = (Vec::new(), false);
        for text in what {
            let (name, seat) = text.split_once('/').map_or((text.as_str(), None), |(name, seat)| (name, Some(seat)));
            let name = self.lab(name).await?;
            if found.as_ref().is_some_and(|known| *known != name) {
                return Err(CliError::Usage("one lab at a time: every LAB/SEAT must be of the same lab".to_owned()));
            }
            found = Some(name);
            whole |= seat.is_none();
            seats.extend(seat.map(SeatName::new).transpose().map_err(|e| CliError::Usage(e.to_string()))?);
        }
        if let (true, Some(lab), Some(seat)) = (whole, &found, seats.first()) {
            let why = format!("{lab} is every seat of it, {lab}/{seat} that one alone: name the lab, or seats of it");
            return Err(CliError::Usage(why));
        }
        found.map(|lab| (lab, seats)).ok_or_else(|| CliError::Usage("name a lab".to_owned()))
    }

    /// The labs on the site asked for; none when every site is.
    pub async fn labs_wanted(&self) -> Result<Option<BTreeSet<LabName>>, CliError> {
        let Some(site) = &self.site else { return Ok(None) };
        let stored = self.home.store.definitions().await?;
        let here = stored.iter().map(|stored| &stored.definition).filter(|definition| definition.site() == site);
        Ok(Some(here.map(|definition| definition.name().clone()).collect()))
    }
}
