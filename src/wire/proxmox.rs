//! A Proxmox VE cluster of the settings, and how its nodes and guests are logged in to.

use std::{collections::BTreeMap, sync::Arc};

use secrecy::ExposeSecret;

use super::{Access, WireError};
use crate::{
    backend::proxmox::{Connection, Credentials, Limits, Proxmox, Trust, known},
    config::{self, ConfigError, HostPort, ProxmoxSite, StoreSettings, Token},
    domain::SiteName,
    port::{
        Clock,
        shell::{HostKey, ShellTarget},
    },
    service::{GuestVia, site::NodeTable},
};

pub(super) fn cluster(
    name: &SiteName,
    site: &ProxmoxSite,
    store: &StoreSettings,
    access: Access,
    clock: Arc<dyn Clock>,
    hide: &dyn Fn(&str),
) -> Result<Proxmox, WireError> {
    let wrong = |why: String| WireError::Site { site: name.clone(), why };
    let credentials = match (access, &site.credentials) {
        (Access::Full, config::Credentials::Token(token)) => proven(token, hide)?,
        (Access::Full, config::Credentials::Login(login)) => {
            let password = login.password.resolve()?;
            hide(password.expose_secret());
            Credentials::Login { user: login.user.clone(), password }
        }
        (Access::Monitor, _) => {
            let token = site.monitor_token.as_ref();
            proven(
                token.ok_or_else(|| {
                    wrong("has no monitor_token, and a read-only dashboard loads no other".to_owned())
                })?,
                hide,
            )?
        }
    };
    let trust = if !site.fingerprints.is_empty() {
        Trust::Fingerprints(site.fingerprints.iter().map(|print| print.0).collect())
    } else if let Some(file) = &site.ca_file {
        Trust::CaFile(std::fs::read(file).map_err(|e| wrong(format!("cannot read ca_file {}: {e}", file.display())))?)
    } else {
        let file = store.certificates();
        let learned =
            known::trusted(&file, name.as_str()).map_err(|e| wrong(format!("cannot read {}: {e}", file.display())))?;
        if learned.is_empty() { Trust::SystemRoots } else { Trust::Learned(learned) }
    };
    let connection = Connection {
        site: name.to_string(),
        endpoints: site.api.clone(),
        node_api: BTreeMap::new(),
        trust,
        credentials,
        limits: Limits::default(),
    };
    Proxmox::new(connection, clock).map_err(|e| wrong(e.to_string()))
}

fn proven(token: &Token, hide: &dyn Fn(&str)) -> Result<Credentials, ConfigError> {
    let secret = token.secret.resolve()?;
    hide(secret.expose_secret());
    Ok(Credentials::Token { id: token.id.clone(), secret })
}

pub(super) fn guest_via(site: &ProxmoxSite) -> GuestVia {
    match &site.guest_via {
        config::GuestVia::Direct => GuestVia::Direct,
        config::GuestVia::Node => GuestVia::Node,
        config::GuestVia::Teacher => GuestVia::Teacher,
        config::GuestVia::Jump(jump) => {
            let user = jump.user.clone().unwrap_or_else(|| site.ssh.user.clone());
            GuestVia::Jump(ShellTarget { user, ..known_host(site, &jump.at) })
        }
    }
}

pub(super) fn node_table(site: &ProxmoxSite) -> NodeTable {
    let known = site
        .nodes
        .iter()
        .filter_map(|(node, settings)| Some((node.clone(), known_host(site, settings.ssh.as_ref()?))))
        .collect();
    let otherwise = known_host(site, &HostPort { host: String::new(), port: None });
    NodeTable::new(known, otherwise)
}

/// A login with the site's user and key on a host whose key stands in homeroom's known_hosts.
fn known_host(site: &ProxmoxSite, at: &HostPort) -> ShellTarget {
    ShellTarget {
        host: at.host.clone(),
        port: at.port.unwrap_or(site.ssh.port),
        user: site.ssh.user.clone(),
        keys: vec![site.ssh.key.clone()],
        ask_agent: true,
        host_key: HostKey::Known,
        via: None,
    }
}
