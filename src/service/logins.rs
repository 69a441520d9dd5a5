//! How the seats of a lab are logged in to: the lab's key, the site's user, the way through.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use secrecy::SecretString;

use super::{GuestVia, Homeroom, ServiceError, Site};
use crate::{
    deploy::class::Logins,
    domain::{
        LabName, NodeName, Role, SeatName,
        class::{Password, SeatSpec},
        verify::key_it_has,
    },
    port::{
        KeyRing,
        keys::{KeyError, LabKey},
        shell::{HostKey, ShellTarget},
    },
};

/// Logins of one lab.
pub struct LabLogins {
    site: Arc<Site>,
    /// None where nobody logs in and no machine is given one.
    key: Option<LabKey>,
    /// Made beforehand, so that a missing secret is told before anything is begun.
    passwords: BTreeMap<SeatName, SecretString>,
    /// The teacher's machine, once a login there has worked, where it is the way in.
    teacher: Mutex<Option<ShellTarget>>,
}

impl LabLogins {
    /// Prepares the passwords of the given seats.
    pub async fn new(
        home: &Homeroom,
        site: &Arc<Site>,
        lab: &LabName,
        key: Option<LabKey>,
        seats: Vec<SeatSpec>,
    ) -> Result<Self, ServiceError> {
        let passwords = passwords(&*home.keys, lab, &seats).await?;
        Ok(Self { site: site.clone(), key, passwords, teacher: Mutex::default() })
    }

    /// The lab's own key.
    pub fn key(&self) -> Option<&LabKey> {
        self.key.as_ref()
    }

    fn offered(&self) -> impl Iterator<Item = PathBuf> {
        self.key.iter().flat_map(LabKey::offered).cloned()
    }
}

/// The passwords of seats; one that several share is fetched once.
async fn passwords(
    keys: &dyn KeyRing,
    lab: &LabName,
    seats: &[SeatSpec],
) -> Result<BTreeMap<SeatName, SecretString>, KeyError> {
    let mut fetched: Vec<(&Password, SecretString)> = Vec::new();
    let mut passwords = BTreeMap::new();
    for spec in seats {
        let Some(from) = &spec.cloud_init.password else { continue };
        let known = fetched.iter().find(|(known, _)| *known == from && *from != Password::Generate);
        let password = match known {
            Some((_, password)) => password.clone(),
            None => keys.password(lab, &spec.seat, from).await?,
        };
        fetched.push((from, password.clone()));
        passwords.insert(spec.seat.clone(), password);
    }
    Ok(passwords)
}

impl Logins for LabLogins {
    fn public_key(&self, config: &BTreeMap<String, String>) -> &str {
        let Some(key) = &self.key else { return "" };
        key_it_has(config, key.publics()).unwrap_or(&key.public)
    }

    fn private_keys(&self) -> Vec<PathBuf> {
        self.offered().collect()
    }

    fn password(&self, spec: &SeatSpec) -> Option<SecretString> {
        self.passwords.get(&spec.seat).cloned()
    }

    fn target(
        &self,
        spec: &SeatSpec,
        node: &NodeName,
        ip: IpAddr,
        host_keys: &[String],
    ) -> Result<ShellTarget, String> {
        let rules = &self.site.rules;
        let via = match &rules.guest_via {
            GuestVia::Direct => None,
            GuestVia::Node => Some(self.site.nodes.target(node)),
            GuestVia::Jump(target) => Some(target.clone()),
            GuestVia::Teacher if spec.role == Role::Teacher => None,
            GuestVia::Teacher => {
                Some(self.known_teacher().ok_or("the way is through the teacher's machine, which is not proven yet")?)
            }
        };
        Ok(ShellTarget {
            host: ip.to_string(),
            port: rules.port,
            user: spec.cloud_init.user.clone().unwrap_or_else(|| rules.user.clone()),
            keys: self.offered().chain(rules.key.clone()).collect(),
            ask_agent: true,
            host_key: HostKey::Exactly(host_keys.to_vec()),
            via: via.map(Box::new),
        })
    }

    fn proven(&self, spec: &SeatSpec, target: &ShellTarget) {
        if spec.role == Role::Teacher {
            *self.teacher.lock().unwrap_or_else(PoisonError::into_inner) = Some(target.clone());
        }
    }
}

impl LabLogins {
    fn known_teacher(&self) -> Option<ShellTarget> {
        self.teacher.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
