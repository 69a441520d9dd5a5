//! Sets a simulated cluster up as a homeroom site: a folder with a complete configuration, trusted
//! host keys, a store with definitions, and the machines that stand already taken back by their marks.
//!
//! The simulated cluster shares no code with the rest; here, at the edge, the two are introduced.

mod engine;

use std::{
    fs,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub use self::engine::Visit;

use crate::{
    cli::CliError,
    config::{self, Settings},
    domain::{Definition, LabName, RunId, SeatName, Vmid, mark::Mark},
    service::{Homeroom, ServiceError, adopt, check::check, definitions, deploy::Outcome},
    sim::{self, Cluster, Scenario},
    wire::{self, Access},
};

/// The default world's definitions, as files would hold them.
const DEFINITIONS: [(&str, &str); 3] = [
    ("cs100.toml", include_str!("../assets/definitions/cs100.toml")),
    ("cs101.toml", include_str!("../assets/definitions/cs101.toml")),
    ("cs102.toml", include_str!("../assets/definitions/cs102.toml")),
];

/// What a simulated cluster is started with.
#[derive(Debug, Clone)]
pub struct Stage {
    pub scenario: Option<PathBuf>,
    /// Proxmox VE's version, where it is not to be the scenario's.
    pub version: Option<String>,
    pub listen: std::net::SocketAddr,
    pub speed: f64,
}

/// A simulated cluster with its homeroom configuration.
pub struct Staged {
    pub cluster: Cluster,
    pub folder: PathBuf,
    pub config: PathBuf,
    pub settings: Settings,
    pub home: Homeroom,
}

impl Stage {
    /// As `homeroom demo` starts it when nothing else is said.
    pub fn demo() -> Self {
        Self { scenario: None, version: None, listen: ([127, 0, 0, 1], 0).into(), speed: DEMO_SPEED }
    }

    /// The cluster alone, for other programs; `folder` gets the nodes' SSH key.
    pub async fn bare(&self, folder: &Path) -> Result<Cluster, CliError> {
        let cluster = self.start(self.scenario()?).await?;
        node_key(&cluster, folder)?;
        Ok(cluster)
    }

    /// The cluster, and in `folder` everything homeroom needs to work on it.
    /// Secrets made on the way are told to `hide`.
    pub async fn with_config(&self, folder: &Path, hide: &(dyn Fn(&str) + Sync)) -> Result<Staged, CliError> {
        let folder = made(folder)?;
        is_unused(&folder)?;
        let mut scenario = self.scenario()?;
        let store = wire::store(&folder.join(STORE), false).await?;
        mark_standing(&mut scenario, &store).await?;
        drop(store);
        let templates: Vec<String> =
            scenario.guests.iter().filter(|guest| guest.template).map(|guest| guest.name.clone()).collect();
        let cluster = self.start(scenario).await?;
        let config = self.write(&cluster, &folder)?;
        let (settings, _) = config::load(Some(&config))?;
        let home = wire::homeroom(&settings, Access::Full, hide).await?;
        for (name, text) in DEFINITIONS {
            let definition = config::definition::parse(text, name, &folder, Some(&settings))?;
            if templates.contains(&template_of(&definition)) {
                definitions::apply(&home, &definition).await?;
            }
        }
        for site in home.sites.keys() {
            adopt::adopt(&home, site, &adopt::Request::default()).await?;
        }
        Ok(Staged { cluster, folder, config, settings, home })
    }

    fn scenario(&self) -> Result<Scenario, CliError> {
        let scenario = match &self.scenario {
            Some(file) => Scenario::load(file),
            None => Scenario::default_world(),
        };
        let scenario = scenario.map_err(|e| CliError::Usage(e.to_string()))?;
        let Some(version) = &self.version else { return Ok(scenario) };
        let known = version.split('.').all(|part| part.parse::<u8>().is_ok()) && version.contains('.');
        if !known || !["8.", "9."].iter().any(|start| version.starts_with(start)) {
            let what = format!("--pve {version:?} is no version of Proxmox VE that is known here; take 8.4 or 9.2");
            return Err(CliError::Usage(what));
        }
        Ok(scenario.at_version(version))
    }

    async fn start(&self, scenario: Scenario) -> Result<Cluster, CliError> {
        if !(self.speed.is_finite() && (0.01..=1000.0).contains(&self.speed)) {
            return Err(CliError::Usage(format!("--speed {} is outside 0.01 to 1000", self.speed)));
        }
        let options = sim::Options { scenario, speed: self.speed, listen: self.listen, seed: 1 };
        sim::start(options).await.map_err(|e| CliError::Usage(e.to_string()))
    }

    /// Writes `config.toml`, the nodes' key and the trusted host keys.
    fn write(&self, cluster: &Cluster, folder: &Path) -> Result<PathBuf, CliError> {
        let key = node_key(cluster, folder)?;
        let known: String = cluster
            .nodes()
            .iter()
            .filter_map(|node| Some(format!("[127.0.0.1]:{} {}\n", node.ssh?.port(), node.host_key)))
            .collect();
        secret_file(&folder.join("known_hosts"), &known)?;
        let config = folder.join("config.toml");
        secret_file(&config, &self.config_text(cluster, folder, &key))?;
        Ok(config)
    }

    fn config_text(&self, cluster: &Cluster, folder: &Path, key: &Path) -> String {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let api: Vec<_> = cluster.nodes().iter().map(|node| quoted(&node.api)).collect();
        let nodes: String = cluster
            .nodes()
            .iter()
            .filter_map(|node| Some(format!("nodes.{} = {{ ssh = {} }}\n", node.name, quoted(&node.ssh?.to_string()))))
            .collect();
        let ((token, secret), (monitor, monitor_secret)) = (cluster.token(), cluster.monitor_token());
        let secret_of = |name: &str, secret: &str| {
            let file = folder.join(name);
            secret_file(&file, secret).map(|()| quoted(&file.display().to_string()))
        };
        let (secret, monitor_secret) = (
            secret_of("token.secret", secret).unwrap_or_default(),
            secret_of("monitor.secret", monitor_secret).unwrap_or_default(),
        );
        format!(
            "# A simulated cluster. It is gone when its process ends.\n\
             [sites.{site}]\n\
             kind = \"proxmox\"\n\
             environment = \"dev\"\n\
             api = [{api}]\n\
             fingerprints = [{fingerprint}]\n\
             token = {{ id = {token}, secret = {{ file = {secret} }} }}\n\
             monitor_token = {{ id = {monitor}, secret = {{ file = {monitor_secret} }} }}\n\
             vmids = \"9100-9999\"\n\
             guest_via = \"node\"\n\
             ssh = {{ user = {user}, key = {key}, port = 22 }}\n\
             {nodes}\n\
             [store]\n\
             path = {store}\n\n\
             [clock]\n\
             speed = {speed:?}\n",
            site = SITE,
            api = api.join(", "),
            fingerprint = quoted(cluster.fingerprint()),
            token = quoted(token),
            monitor = quoted(monitor),
            user = quoted(SSH_USER),
            key = quoted(&key.display().to_string()),
            store = quoted(&folder.join(STORE).display().to_string()),
            speed = self.speed,
        )
    }
}

/// How many times faster than real the demo runs.
pub const DEMO_SPEED: f64 = 2.5;

/// A workshop for the simulated cloud, as a file would hold it.
const WORKSHOP: (&str, &str) = ("rust-intro.toml", include_str!("../assets/definitions/rust-intro.toml"));

impl Staged {
    /// Adds a simulated Compute Engine project as the site `cloud`, with a workshop defined on it.
    pub async fn with_cloud(
        self,
        speed: f64,
        hide: &(dyn Fn(&str) + Sync),
    ) -> Result<(Self, sim::gce::Project), CliError> {
        let Self { cluster, folder, config, settings: _, home } = self;
        // One process, one writer.
        drop(home);
        let project = cloud(speed).await?;
        let site = format!(
            "\n# A simulated Compute Engine project. The prices are made up.\n\
             [sites.cloud]\nkind = \"gce\"\nenvironment = \"dev\"\nproject = \"{PROJECT}\"\n\
             zones = [\"europe-west3-a\", \"europe-west3-b\"]\nendpoint = \"{}\"\nssh_port = {}\n\
             [sites.cloud.prices]\ndate = \"2026-11-01\"\ncurrency = \"EUR\"\n\
             machines = {{ e2-standard-4 = 0.16, e2-standard-8 = 0.32, e2-standard-16 = 0.64 }}\n\
             spot = {{ e2-standard-4 = 0.05, e2-standard-8 = 0.1, e2-standard-16 = 0.2 }}\n\
             disk_gb_month = 0.11\naddress = 0.004\n",
            project.endpoint(),
            project.ssh_port()
        );
        let io = |source| CliError::Io { doing: format!("cannot read {}", config.display()), source };
        let text = fs::read_to_string(&config).map_err(io)?;
        secret_file(&config, &(text + &site))?;
        let (settings, _) = config::load(Some(&config))?;
        let home = wire::homeroom(&settings, Access::Full, hide).await?;
        let (name, text) = WORKSHOP;
        definitions::apply(&home, &config::definition::parse(text, name, &folder, Some(&settings))?).await?;
        Ok((Self { cluster, folder, config, settings, home }, project))
    }
}

/// The simulated project's id.
const PROJECT: &str = "demo-lab";

/// A simulated Compute Engine project alone.
pub async fn cloud(speed: f64) -> Result<sim::gce::Project, CliError> {
    let listen = ([127, 0, 0, 1], 0).into();
    let options = sim::gce::Options { project: PROJECT.to_owned(), speed, listen };
    sim::gce::start(options).await.map_err(|e| CliError::Usage(e.to_string()))
}

/// The site's name in the written configuration.
const SITE: &str = "sim";
/// The store's file.
const STORE: &str = "homeroom.db";
/// The file of the nodes' SSH key.
const NODE_KEY: &str = "node_key";
/// Who logs in to nodes.
const SSH_USER: &str = "root";

/// What a definition's machines are cloned from, by name.
fn template_of(definition: &Definition) -> String {
    match definition {
        Definition::Class(class) => class.template.to_string(),
        Definition::Workshop(workshop) => workshop.image.clone(),
    }
}

/// Repeats the roll call of every class that stands, in the background, until all have come to their end.
pub fn roll_call(home: &Arc<Homeroom>) -> JoinHandle<()> {
    let home = home.clone();
    tokio::spawn(async move {
        let Ok((all, _)) = home.store.all_progress().await else { return };
        for progress in all.iter().filter(|progress| progress.seats.iter().any(|seat| seat.vmid.is_some())) {
            match check(&home, &progress.lab, &[]).await {
                // How it ended is in the log.
                Ok(Outcome::Begun(run)) => drop(run.ended.await),
                Ok(Outcome::NothingToDo(_)) => {}
                Err(error) => tracing::warn!(lab = %progress.lab, %error, "no roll call at the start"),
            }
        }
    })
}

fn node_key(cluster: &Cluster, folder: &Path) -> Result<PathBuf, CliError> {
    let path = folder.join(NODE_KEY);
    secret_file(&path, &cluster.ssh_key().private)?;
    Ok(path)
}

/// What `sim` prints when it is ready: the first node's faces, where the configuration lies, and the cloud, where one
/// was asked for.
pub fn announcement(
    cluster: &Cluster,
    folder: &Path,
    config: Option<&Path>,
    cloud: Option<&sim::gce::Project>,
) -> Value {
    let first = cluster.nodes().first();
    let mut told = json!({
        "schema": 1,
        "api": cluster.api(),
        "fingerprint": cluster.fingerprint(),
        "token_id": cluster.token().0,
        "token_secret": cluster.token().1,
        "ssh": first.and_then(|node| node.ssh).map(|at| at.to_string()),
        "ssh_user": SSH_USER,
        "ssh_key": folder.join(NODE_KEY).display().to_string(),
        "config": config.map(|path| path.display().to_string()),
    });
    if let Some(cloud) = cloud {
        told["cloud"] = json!({"endpoint": cloud.endpoint(), "project": PROJECT, "ssh_port": cloud.ssh_port()});
    }
    told
}

/// Gives machines that stand from the start the mark of this store and their lab's key, as if it had made them.
async fn mark_standing(scenario: &mut Scenario, with: &wire::StoreAndKeys) -> Result<(), ServiceError> {
    for guest in scenario.guests.iter_mut().filter(|guest| !guest.template) {
        let Some((lab, seat)) = guest.name.split_once('-') else { continue };
        let (Ok(lab), Ok(seat)) = (LabName::new(lab), SeatName::new(seat)) else { continue };
        let Ok(vmid) = Vmid::new(u64::from(guest.vmid)) else { continue };
        if guest.config.get("tags").is_none_or(|tags| !tags.contains(crate::domain::mark::TAG)) {
            continue;
        }
        let key = with.keys.lab_key(&lab).await?;
        guest.config.insert("sshkeys".to_owned(), percent_encoded(&key.public));
        let mark = Mark { store: with.id.clone(), lab, seat, run: RunId(0), vmid };
        guest.config.insert("description".to_owned(), mark.text());
    }
    Ok(())
}

/// As Proxmox keeps `sshkeys`: everything but letters, digits and `_.!~*'()-` encoded.
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ if b"_.!~*'()-".contains(&byte) => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn made(folder: &Path) -> Result<PathBuf, CliError> {
    let io = |source| CliError::Io { doing: format!("cannot make the folder {}", folder.display()), source };
    fs::create_dir_all(folder).map_err(io)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(io)?;
    fs::canonicalize(folder).map_err(io)
}

/// A store remembers the machines of its own world; in a new one it would take others' for its own.
fn is_unused(folder: &Path) -> Result<(), CliError> {
    if folder.join(STORE).exists() {
        return Err(CliError::Usage(format!(
            "{} holds the store of an earlier world; name another folder, or remove this one",
            folder.display()
        )));
    }
    Ok(())
}

/// Writes a file only its owner may read.
fn secret_file(path: &Path, text: &str) -> Result<(), CliError> {
    use std::io::Write;
    let io = |source| CliError::Io { doing: format!("cannot write {}", path.display()), source };
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(io)?;
    file.write_all(text.as_bytes()).map_err(io)
}
