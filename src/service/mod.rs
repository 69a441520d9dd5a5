//! One file per use case, shared by dashboard and command line. Knows no screen, file format or backend.

pub mod adopt;
mod allowed;
pub mod check;
pub mod copy;
pub mod definitions;
pub mod deploy;
pub mod destroy;
pub mod doctor;
pub mod error;
pub mod exec;
pub mod follow;
mod logins;
mod offline;
pub mod plan;
pub mod rebuild;
pub mod report;
pub mod roster;
pub mod run;
pub mod runs;
pub mod shell;
pub mod site;
pub mod status;
pub mod watch;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub use error::ServiceError;
pub use run::RunHandle;
pub use site::{GuestVia, Site, SiteRules};

/// What answers are made of, for those that call the use cases.
pub use crate::port::{
    StoreError,
    shell::{ShellError, ShellInput, ShellOutput, ShellSession},
    store::{EventFilter, RunRow, StoredEvent},
};

use crate::{
    deploy::Tuning,
    domain::{Definition, LabName, SiteName, class::ClassDefinition},
    monitor::Pace,
    port::{Clock, KeyRing, Store, store::StoredDefinition},
};

/// Everything the use cases work with.
pub struct Homeroom {
    pub store: Arc<dyn Store>,
    pub sites: BTreeMap<SiteName, Arc<Site>>,
    pub clock: Arc<dyn Clock>,
    pub keys: Arc<dyn KeyRing>,
    pub tuning: Tuning,
    /// How often dashboards look at sites.
    pub pace: Pace,
    /// A proof older than this no longer makes a seat ready.
    pub proof_max_age: Duration,
    /// Who acts, for others to read: `mara@jump (process 4711)`.
    pub owner: String,
}

impl Homeroom {
    /// The definition of a lab by name.
    pub async fn definition(&self, lab: &LabName) -> Result<StoredDefinition, ServiceError> {
        Ok(self.store.definition(lab).await?)
    }

    /// A class by name, with its site. Workshops are stored and shown, and cannot be run yet.
    pub async fn class(&self, lab: &LabName) -> Result<(ClassDefinition, Arc<Site>), ServiceError> {
        match self.definition(lab).await?.definition {
            Definition::Class(class) => {
                let site = self.site(&class.site)?.clone();
                Ok((class, site))
            }
            Definition::Workshop(_) => Err(ServiceError::NotNow(format!(
                "{lab} is a workshop; this version stores and shows workshops but cannot run them yet"
            ))),
        }
    }

    pub fn site(&self, name: &SiteName) -> Result<&Arc<Site>, ServiceError> {
        self.sites.get(name).ok_or_else(|| ServiceError::NoSite {
            site: name.clone(),
            known: self.sites.keys().map(ToString::to_string).collect(),
        })
    }
}
