//! wire: builds backends, stores and services from settings. The only room that knows them all.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    backend::{
        docker::{self, Engine},
        gce::{Gce, Tokens},
        nobody::Nobody,
        pager::{Program, Webhook},
        proxmox::{Connection, Credentials, Limits, Proxmox, Trust, known, parse_fingerprint},
        ssh::{self, Qm, Ssh, SshSettings, keys::KeyFiles},
    },
    config::{
        self, ConfigError, DockerSite, GceSite, HostPort, KioskSettings, ProxmoxSite, Settings, SiteKind,
        StoreSettings, Token,
    },
    deploy::Tuning,
    domain::{NodeName, SiteName, StoreId},
    monitor::Pace,
    port::{
        Clock, GuestAgent, KeyRing, Mend, Pager, RemoteShell, Store,
        shell::{HostKey, ShellTarget},
    },
    service::{
        CloudSite, EngineSite, GuestVia, Homeroom, Price, ServiceError, Site, SiteRules,
        site::{NodeLogins, NodeTable},
    },
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
        // Whoever reaches an engine is root there; one who only looks reads the store instead.
        if let (SiteKind::Docker(docker), Doors::Open(ssh, _)) = (&site.kind, &doors) {
            match engine(name, site, docker, ssh) {
                Ok(engine) => drop(engines.insert(name.clone(), Arc::new(engine))),
                Err(error) => left_out.push((name.clone(), error)),
            }
        }
        if let (SiteKind::Gce(gce), Access::Full) = (&site.kind, access) {
            match cloud(name, site, gce, doors.shell()) {
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

/// Ways into machines: all by SSH, or none.
enum Doors {
    /// With the passphrase of the labs' keys.
    Open(Arc<Ssh>, Option<SecretString>),
    Shut,
}

impl Doors {
    fn of(settings: &Settings, access: Access, passphrase: Option<SecretString>) -> Self {
        if access == Access::Monitor {
            return Self::Shut;
        }
        let mut ssh = SshSettings::new(settings.store.known_hosts());
        ssh.known_hosts_mode = settings.store.trust_mode();
        ssh.lab_keys = passphrase.clone().map(|passphrase| (settings.store.keys(), passphrase));
        ssh.agent = std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from);
        Self::Open(Arc::new(Ssh::new(ssh)), passphrase)
    }

    fn shell(&self) -> Arc<dyn RemoteShell> {
        match self {
            Self::Open(ssh, _) => ssh.clone(),
            Self::Shut => Arc::new(Nobody),
        }
    }

    fn by_node(&self, nodes: &Arc<dyn NodeLogins>) -> (Arc<dyn GuestAgent>, Arc<dyn Mend>) {
        match self {
            Self::Open(ssh, _) => {
                let targets = nodes.clone();
                let qm = Arc::new(Qm::new((**ssh).clone(), move |node| Some(targets.target(node))));
                (qm.clone(), qm)
            }
            Self::Shut => (Arc::new(Nobody), Arc::new(Nobody)),
        }
    }

    fn keys(&self, store: &StoreSettings) -> Arc<dyn KeyRing> {
        match self {
            Self::Open(_, passphrase) => Arc::new(key_files(store).sealed_with(passphrase.clone())),
            Self::Shut => Arc::new(Nobody),
        }
    }
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

fn cluster(
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

/// Where an engine is when nothing else is said.
const DOCKER_SOCKET: &str = "/var/run/docker.sock";

/// A container engine, and how its host is logged in to where that is the way.
fn engine(name: &SiteName, site: &config::Site, docker: &DockerSite, ssh: &Arc<Ssh>) -> Result<EngineSite, WireError> {
    let (scheme, rest) = docker.host.split_once("://").unwrap_or(("unix", docker.host.as_str()));
    let (address, login) = match (scheme, &docker.tls) {
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
    Ok(EngineSite {
        login,
        name: name.clone(),
        environment: site.environment.as_str().to_owned(),
        max_seats: site.max_seats,
        price: Price { per_hour: docker.price_per_hour, currency: docker.currency.clone() },
        containers: Arc::new(Engine::new(address)),
    })
}

/// A Compute Engine project. Its tokens are fetched when the first call is made.
fn cloud(
    name: &SiteName,
    site: &config::Site,
    gce: &GceSite,
    shell: Arc<dyn RemoteShell>,
) -> Result<CloudSite, WireError> {
    let wrong = |why: String| WireError::Site { site: name.clone(), why };
    let endpoint = gce.endpoint.as_deref();
    let metadata = std::env::var("GCE_METADATA_HOST").map(|host| format!("http://{host}"));
    let metadata = metadata.unwrap_or_else(|_| "http://metadata.google.internal".to_owned());
    let tokens = Tokens::of_metadata_server(endpoint.unwrap_or(&metadata)).map_err(wrong)?;
    let project = Arc::new(Gce::new(&gce.project, tokens, endpoint).map_err(wrong)?);
    Ok(CloudSite {
        name: name.clone(),
        environment: site.environment.as_str().to_owned(),
        max_seats: site.max_seats,
        cloud: project.clone(),
        dns: project,
        shell,
        zones: gce.zones.iter().map(NodeName::new).collect(),
        spot: gce.spot,
        registry: gce.registry.clone(),
        service_account: gce.service_account.clone(),
        ssh_port: gce.ssh_port,
        prices: gce.prices.clone(),
    })
}

fn proven(token: &Token, hide: &dyn Fn(&str)) -> Result<Credentials, ConfigError> {
    let secret = token.secret.resolve()?;
    hide(secret.expose_secret());
    Ok(Credentials::Token { id: token.id.clone(), secret })
}

fn guest_via(site: &ProxmoxSite) -> GuestVia {
    match &site.guest_via {
        crate::config::GuestVia::Direct => GuestVia::Direct,
        crate::config::GuestVia::Node => GuestVia::Node,
        crate::config::GuestVia::Teacher => GuestVia::Teacher,
        crate::config::GuestVia::Jump(jump) => {
            let user = jump.user.clone().unwrap_or_else(|| site.ssh.user.clone());
            GuestVia::Jump(ShellTarget { user, ..known_host(site, &jump.at) })
        }
    }
}

fn node_table(site: &ProxmoxSite) -> NodeTable {
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

fn tuning(settings: &Settings) -> Tuning {
    let engine = &settings.engine;
    Tuning {
        clones_per_shared_storage: engine.clones_per_shared_storage as usize,
        clones_per_local_storage: engine.clones_per_local_storage as usize,
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

/// The computer's clock; modelled time passes `speed` times as fast.
pub struct WallClock {
    speed: f64,
    began: Instant,
}

impl WallClock {
    pub fn new(speed: f64) -> Self {
        Self { speed, began: Instant::now() }
    }
}

#[async_trait]
impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed().mul_f64(self.speed)
    }

    async fn sleep(&self, modelled: Duration) {
        tokio::time::sleep(modelled.div_f64(self.speed)).await;
    }
}
