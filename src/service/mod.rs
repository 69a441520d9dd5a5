//! One file per use case, shared by dashboard and command line. Knows no screen, file format or backend.

pub mod adopt;
mod allowed;
pub mod bridges;
pub mod call;
mod certificate;
pub mod check;
pub mod cloud;
pub mod container;
pub mod copy;
pub mod deaths;
pub mod definitions;
pub mod deploy;
pub mod destroy;
pub mod doctor;
pub mod ends;
pub mod error;
pub mod exec;
pub mod follow;
pub mod hindsight;
pub mod inside;
pub mod instance;
pub mod join;
mod journal;
mod kept;
mod logins;
mod marks;
mod meet;
mod offline;
pub mod own_key;
pub mod plan;
pub mod rebuild;
mod renewal;
pub mod report;
pub mod roster;
pub mod run;
pub mod runs;
pub mod shell;
mod silent;
pub mod site;
pub mod status;
pub mod strays;
mod unclaimed;
pub mod watch;
pub mod workshop;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub use crate::deploy::schedule::Halt;
pub use cloud::CloudSite;
pub use error::ServiceError;
pub use run::RunHandle;
pub use site::{GuestVia, Site, SiteRules};
pub use workshop::{EngineSite, Price};

/// What answers are made of, for those that call the use cases.
pub use crate::port::{
    RemoteShell, StoreError,
    pager::Pager,
    shell::{ShellError, ShellInput, ShellOutput, ShellSession, Tty},
    store::{EventFilter, RunRow, StoredDefinition, StoredEvent},
};

use crate::{
    deploy::Tuning,
    domain::{Definition, LabName, SiteName, class::ClassDefinition, workshop::WorkshopDefinition},
    monitor::Pace,
    port::{Clock, KeyRing, Store},
};

/// Everything the use cases work with.
pub struct Homeroom {
    pub store: Arc<dyn Store>,
    /// Where classes live.
    pub sites: BTreeMap<SiteName, Arc<Site>>,
    /// Where workshops live.
    pub engines: BTreeMap<SiteName, Arc<EngineSite>>,
    /// Where workshops live on instances of a cloud.
    pub clouds: BTreeMap<SiteName, Arc<CloudSite>>,
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

    /// A class by name, with its site.
    pub async fn class(&self, lab: &LabName) -> Result<(ClassDefinition, Arc<Site>), ServiceError> {
        match self.definition(lab).await?.definition {
            Definition::Class(class) => {
                let site = self.site(&class.site)?.clone();
                Ok((class, site))
            }
            Definition::Workshop(_) => Err(ServiceError::NotNow(format!(
                "{lab} is a workshop: it has containers for seats, and this works on a class's machines only"
            ))),
        }
    }

    /// A workshop by name, with its engine; `None` for a class.
    pub async fn workshop(&self, lab: &LabName) -> Result<Option<(WorkshopDefinition, Arc<EngineSite>)>, ServiceError> {
        match self.definition(lab).await?.definition {
            Definition::Class(_) => Ok(None),
            Definition::Workshop(workshop) => {
                let engine = self.engine(&workshop.site)?.clone();
                Ok(Some((workshop, engine)))
            }
        }
    }

    /// A workshop by name whose site is a cloud, with the cloud; `None` for anything else.
    pub async fn in_cloud(&self, lab: &LabName) -> Result<Option<(WorkshopDefinition, Arc<CloudSite>)>, ServiceError> {
        Ok(match self.definition(lab).await?.definition {
            Definition::Workshop(workshop) => self.clouds.get(&workshop.site).cloned().map(|cloud| (workshop, cloud)),
            Definition::Class(_) => None,
        })
    }

    pub fn cloud(&self, name: &SiteName) -> Result<&Arc<CloudSite>, ServiceError> {
        self.clouds.get(name).ok_or_else(|| ServiceError::NotNow(format!("{name} is no cloud")))
    }

    pub fn engine(&self, name: &SiteName) -> Result<&Arc<EngineSite>, ServiceError> {
        self.engines
            .get(name)
            .ok_or_else(|| ServiceError::NotNow(format!("this works on sites of kind docker, and {name} is none")))
    }

    /// What is at stake on a lab's site: `dev`, `staging` or `prod`.
    pub async fn environment(&self, lab: &LabName) -> Result<(SiteName, String), ServiceError> {
        if let Some((_, cloud)) = self.in_cloud(lab).await? {
            return Ok((cloud.name.clone(), cloud.environment.clone()));
        }
        match self.workshop(lab).await? {
            Some((_, engine)) => Ok((engine.name.clone(), engine.environment.clone())),
            None => {
                let (_, site) = self.class(lab).await?;
                Ok((site.name.clone(), site.rules.environment.clone()))
            }
        }
    }

    pub fn site(&self, name: &SiteName) -> Result<&Arc<Site>, ServiceError> {
        let kind = match (self.engines.contains_key(name), self.clouds.contains_key(name)) {
            (true, _) => Some("docker"),
            (_, true) => Some("gce"),
            _ => None,
        };
        self.sites.get(name).ok_or_else(|| match kind {
            Some(kind) => {
                ServiceError::NotNow(format!("this works on sites of kind proxmox, and {name} is of kind {kind}"))
            }
            None => {
                let engines = self.engines.keys().chain(self.clouds.keys());
                let known = self.sites.keys().chain(engines).map(ToString::to_string).collect();
                ServiceError::NoSite { site: name.clone(), known }
            }
        })
    }
}
