//! wire: builds backends, stores and services from settings. The only room that knows them all.

mod clock;
mod cloud;
mod doors;
mod engine;
pub mod guest;
mod proxmox;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use secrecy::ExposeSecret;

pub use self::clock::WallClock;
use self::{
    cloud::cloud,
    doors::Doors,
    engine::{engine, looked_at},
    proxmox::{cluster, guest_via, node_table},
};
use crate::{
    backend::{
        pager::{Program, Webhook},
        proxmox::{known, parse_fingerprint},
        ssh::{self, keys::KeyFiles},
    },
    config::{ConfigError, KioskSettings, Settings, SiteKind, StoreSettings},
    deploy::Tuning,
    domain::{SiteName, StoreId},
    monitor::Pace,
    port::{Clock, KeyRing, Pager, Store},
    service::{Homeroom, ServiceError, Site, SiteRules, site::NodeLogins},
    store::{Options, SqliteStore},
};

/// What is to be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    Full,
    /// Only looking: the monitor token, no keys, a read-only store.
    Monitor,
}

/// Why the program could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("site {site}: {why}")]
    Site { site: SiteName, why: String },
    #[error("kiosk.webhook: {0}")]
    Webhook(String),
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// Builds everything the use cases work with. Sites that this version cannot work on are left out.
/// Every secret read on the way is told to `hide`, so that no log can show it.
pub async fn homeroom(
    settings: &Settings,
    access: Access,
    hide: &(dyn Fn(&str) + Sync),
) -> Result<Homeroom, WireError> {
    let (home, left_out) = what_can_be_built(settings, access, hide).await?;
    match left_out.into_iter().next() {
        None => Ok(home),
        Some((_, error)) => Err(error),
    }
}

/// The same without the sites that cannot be built, which are named with the reason.
pub async fn what_can_be_built(
    settings: &Settings,
    access: Access,
    hide: &(dyn Fn(&str) + Sync),
) -> Result<(Homeroom, Vec<(SiteName, WireError)>), WireError> {
    let options = Options { shared: settings.store.shared, read_only: access == Access::Monitor };
    let store = SqliteStore::open(&settings.store.path, options).await.map_err(ServiceError::from)?;
    let clock: Arc<dyn Clock> = Arc::new(WallClock::new(settings.clock.speed));
    let passphrase = match &settings.store.key_passphrase {
        Some(secret) if access == Access::Full => Some(secret.resolve()?),
        _ => None,
    };
    passphrase.iter().for_each(|passphrase| hide(passphrase.expose_secret()));
    let doors = Doors::of(settings, access, passphrase);
    let (mut sites, mut engines, mut left_out) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    let mut clouds = BTreeMap::new();
    for (name, site) in &settings.sites {
        match (&site.kind, &doors) {
            (SiteKind::Docker(docker), Doors::Open(ssh, _)) => match engine(name, site, docker, ssh) {
                Ok(engine) => drop(engines.insert(name.clone(), Arc::new(engine))),
                Err(error) => left_out.push((name.clone(), error)),
            },
            // Without a key or a certificate, and with no hand in it; else the store says how its workshops stand.
            (SiteKind::Docker(docker), Doors::Shut) => {
                engines.extend(looked_at(name, site, docker).map(|engine| (name.clone(), Arc::new(engine))));
            }
            _ => {}
        }
        if let SiteKind::Gce(gce) = &site.kind {
            match cloud(name, site, gce, doors.shell(), access) {
                Ok(cloud) => drop(clouds.insert(name.clone(), Arc::new(cloud))),
                Err(error) => left_out.push((name.clone(), error)),
            }
        }
        let Some(proxmox) = site.proxmox() else { continue };
        let rules = SiteRules {
            environment: site.environment.as_str().to_owned(),
            vmids: proxmox.vmids,
            max_seats: site.max_seats,
            memory_overcommit: proxmox.memory_overcommit,
            user: proxmox.ssh.user.clone(),
            key: (access == Access::Full).then(|| proxmox.ssh.key.clone()),
            port: GUEST_SSH_PORT,
            guest_via: guest_via(proxmox),
        };
        let cluster = match cluster(name, proxmox, &settings.store, access, clock.clone(), hide) {
            Ok(cluster) => Arc::new(cluster),
            Err(error) => {
                left_out.push((name.clone(), error));
                continue;
            }
        };
        let nodes: Arc<dyn NodeLogins> = Arc::new(node_table(proxmox));
        let (agent_by_node, mend) = doors.by_node(&nodes);
        let site = Site {
            name: name.clone(),
            rules,
            inspect: cluster.clone(),
            agent_by_api: cluster.clone(),
            agent_by_node,
            mend,
            cluster,
            shell: doors.shell(),
            nodes,
        };
        sites.insert(name.clone(), Arc::new(site));
    }
    let home = Homeroom {
        store: Arc::new(store) as Arc<dyn Store>,
        sites,
        engines,
        clouds,
        clock,
        keys: doors.keys(&settings.store),
        tuning: tuning(settings),
        pace: Pace { idle: settings.engine.poll_idle, busy: settings.engine.poll_run },
        proof_max_age: settings.engine.proof_max_age,
        owner: owner(),
    };
    Ok((home, left_out))
}

/// Whoever is called by an unattended screen. The webhook's address is told to `hide`.
pub fn pagers(kiosk: &KioskSettings, hide: &dyn Fn(&str)) -> Result<Vec<Arc<dyn Pager>>, WireError> {
    let mut pagers: Vec<Arc<dyn Pager>> = Vec::new();
    if let Some(program) = Program::new(&kiosk.command) {
        pagers.push(Arc::new(program));
    }
    if let Some(webhook) = &kiosk.webhook {
        let address = webhook.resolve()?;
        hide(address.expose_secret());
        pagers.push(Arc::new(Webhook::new(address).map_err(WireError::Webhook)?));
    }
    Ok(pagers)
}

/// Writes down that an address of a site shows this certificate (as Proxmox prints fingerprints).
pub fn trust_certificate(
    store: &StoreSettings,
    site: &SiteName,
    endpoint: &str,
    fingerprint: &str,
) -> Result<(), WireError> {
    let file = store.certificates();
    let wrong = |why: String| WireError::Site { site: site.clone(), why };
    let bytes = parse_fingerprint(fingerprint).ok_or_else(|| wrong(format!("{fingerprint:?} is no fingerprint")))?;
    known::trust(&file, site.as_str(), endpoint, &bytes, store.trust_mode())
        .map_err(|e| wrong(format!("cannot write {}: {e}", file.display())))
}

/// Writes down that a host shows this SSH key; with `instead`, in place of the one on record.
pub fn trust_host_key(store: &StoreSettings, host: &str, key: &str, instead: bool) -> std::io::Result<()> {
    ssh::write_down(&store.known_hosts(), host, key, store.trust_mode(), instead)
}

/// What a store is known by, and its keys, before there is a configuration to build the rest from.
pub struct StoreAndKeys {
    pub id: StoreId,
    pub keys: Arc<dyn KeyRing>,
}

/// Opens (or makes) a store just for its identity and keys.
pub async fn store(path: &Path, shared: bool) -> Result<StoreAndKeys, WireError> {
    let store = SqliteStore::open(path, Options { shared, read_only: false }).await.map_err(ServiceError::from)?;
    let settings = StoreSettings { path: path.to_owned(), key_passphrase: None, shared };
    Ok(StoreAndKeys { id: Store::id(&store).clone(), keys: Arc::new(key_files(&settings)) })
}

fn key_files(store: &StoreSettings) -> KeyFiles {
    KeyFiles::new(store.keys(), if store.shared { 0o640 } else { 0o600 })
}

/// Guests answer on the usual port.
const GUEST_SSH_PORT: u16 = 22;

fn tuning(settings: &Settings) -> Tuning {
    let engine = &settings.engine;
    Tuning {
        clones_per_shared_storage: engine.clones_per_shared_storage as usize,
        clones_per_local_storage: engine.clones_per_local_storage as usize,
        copies_per_storage: engine.copies_per_storage as usize,
        boots_per_node: (engine.boots_per_node > 0).then_some(engine.boots_per_node as usize),
        settle_after_clone: engine.settle_after_clone,
        locked: engine.retry.clone(),
        task_poll: engine.task_poll,
        task_stall: engine.task_stall,
        ..Tuning::default()
    }
}

/// Who runs this program.
fn user_name() -> String {
    std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| {
        let uid = rustix::process::getuid();
        if uid.is_root() { "root".to_owned() } else { format!("uid {}", uid.as_raw()) }
    })
}

/// `mara@jump (process 4711)`
fn owner() -> String {
    let user = user_name();
    let host = rustix::system::uname();
    format!("{user}@{} (process {})", host.nodename().to_string_lossy(), std::process::id())
}
