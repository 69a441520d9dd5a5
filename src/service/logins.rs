//! How the seats of a lab are logged in to: the lab's key, the site's user, the way through.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use secrecy::SecretString;

use super::{GuestVia, Homeroom, ServiceError, Site};
use crate::{
    deploy::class::Logins,
    domain::{LabName, NodeName, Role, SeatName, class::SeatSpec},
    port::shell::{HostKey, ShellTarget},
};

/// Logins of one lab.
pub struct LabLogins {
    site: Arc<Site>,
    key: crate::port::keys::LabKey,
    /// Made beforehand, so that a missing secret is told before anything is begun.
    passwords: BTreeMap<SeatName, SecretString>,
    /// The teacher's machine, once a login there has worked, where it is the way in.
    teacher: Mutex<Option<ShellTarget>>,
}

impl LabLogins {
    /// Prepares keys and passwords for the given seats.
    pub fn new(home: &Homeroom, site: &Arc<Site>, lab: &LabName, seats: &[SeatSpec]) -> Result<Self, ServiceError> {
        let key = home.keys.lab_key(lab)?;
        let mut passwords = BTreeMap::new();
        for spec in seats {
            if let Some(from) = &spec.cloud_init.password {
                passwords.insert(spec.seat.clone(), home.keys.password(lab, &spec.seat, from)?);
            }
        }
        Ok(Self { site: site.clone(), key, passwords, teacher: Mutex::default() })
    }
}

impl Logins for LabLogins {
    fn public_key(&self) -> &str {
        &self.key.public
    }

    fn private_key(&self) -> &Path {
        &self.key.private
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
            keys: std::iter::once(self.key.private.clone()).chain(rules.key.clone()).collect(),
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
