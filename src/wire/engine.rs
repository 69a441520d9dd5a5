//! A container engine of the settings.

use std::sync::Arc;

use rustix::{
    fs::{Access, access},
    io::Errno,
};

use super::{GUEST_SSH_PORT, WireError, user_name};
use crate::{
    backend::{
        docker::{self, Engine},
        ssh::{self, Ssh},
    },
    config::{self, DockerSite},
    domain::{SiteName, address::host_of},
    port::{
        RemoteShell,
        shell::{HostKey, ShellTarget},
    },
    service::{EngineSite, Price},
};

/// Where an engine is when nothing else is said.
const DOCKER_SOCKET: &str = "/var/run/docker.sock";

/// An engine as a program that only looks has it: only where whoever runs it may open its socket anyway. No key and no
/// certificate is loaded for it.
pub(super) fn looked_at(name: &SiteName, site: &config::Site, docker: &DockerSite) -> Option<EngineSite> {
    let path = docker.host.strip_prefix("unix://")?;
    // One that is not there now may come; one that may not be opened never answers.
    if matches!(access(path, Access::READ_OK | Access::WRITE_OK), Err(Errno::ACCESS | Errno::PERM)) {
        return None;
    }
    let engine = Engine::for_looking(docker::Address::Unix(path.to_owned()));
    Some(of(name, site, docker, Arc::new(engine)))
}

/// A site of it.
fn of(name: &SiteName, site: &config::Site, docker: &DockerSite, containers: Arc<Engine>) -> EngineSite {
    EngineSite {
        address: docker.address.clone(),
        login: None,
        name: name.clone(),
        environment: site.environment.as_str().to_owned(),
        max_seats: site.max_seats,
        price: Price { per_hour: docker.price_per_hour, currency: docker.currency.clone() },
        containers,
        clock: None,
    }
}

/// A container engine, and how its host is logged in to where that is the way.
pub(super) fn engine(
    name: &SiteName,
    site: &config::Site,
    docker: &DockerSite,
    ssh: &Arc<Ssh>,
) -> Result<EngineSite, WireError> {
    let (scheme, rest) = docker.host.split_once("://").unwrap_or(("unix", docker.host.as_str()));
    let (way, login) = match (scheme, &docker.tls) {
        ("tcp", Some(tls)) => {
            let (ca, cert, key) = (tls.ca_file.clone(), tls.cert_file.clone(), tls.key_file.clone());
            (docker::Address::Tls { at: rest.to_owned(), ca, cert, key }, None)
        }
        ("ssh", _) => {
            let wrong = || WireError::Site {
                site: name.clone(),
                why: format!("{} is not ssh://[user@]host[:port][/path/of/its/socket]", docker.host),
            };
            let (at, socket) = rest.split_once('/').map_or((rest, None), |(at, path)| (at, Some(format!("/{path}"))));
            let (user, at) = at.rsplit_once('@').map_or((None, at), |(user, at)| (Some(user.to_owned()), at));
            // `[::1]:22`, `host:22`, `host`
            let (host, port) = match at.rsplit_once(':') {
                Some((host, port)) if !host.ends_with(':') && (!host.contains(':') || host.ends_with(']')) => {
                    (host, port.parse().map_err(|_| wrong())?)
                }
                _ => (at, GUEST_SSH_PORT),
            };
            let target = ShellTarget {
                host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
                port,
                user: user.unwrap_or_else(user_name),
                keys: vec![docker.ssh_key.clone()],
                ask_agent: true,
                host_key: HostKey::Known,
                via: None,
            };
            if target.host.is_empty() {
                return Err(wrong());
            }
            let reach = Arc::new(ssh::From::new((**ssh).clone(), target.clone()));
            let socket = socket.unwrap_or_else(|| DOCKER_SOCKET.to_owned());
            let shell: Arc<dyn RemoteShell> = ssh.clone();
            (docker::Address::Through { shown: docker.host.clone(), reach, socket }, Some((shell, target)))
        }
        _ => (docker::Address::Unix(rest.to_owned()), None),
    };
    // Where nothing is said, people reach the host as homeroom does.
    let far = match (&way, &login) {
        (docker::Address::Tls { at, .. }, _) => host_of(at),
        (_, Some((_, target))) if target.host.contains(':') => host_of(&format!("[{}]", target.host)),
        (_, Some((_, target))) => Some(target.host.clone()),
        _ => None,
    };
    let address = docker.address.clone().or(far);
    Ok(EngineSite { address, login, ..of(name, site, docker, Arc::new(Engine::new(way))) })
}
